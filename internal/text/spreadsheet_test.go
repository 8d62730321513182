package text

import "testing"

func TestSpreadsheet(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"acme.okta.com":            "acme.okta.com",
		"a-b=c+d@e":                "a-b=c+d@e",
		"=1+1":                     "'=1+1",
		"+1":                       "'+1",
		"-1":                       "'-1",
		"@SUM(A1)":                 "'@SUM(A1)",
		" =1":                      "' =1",
		"\t=1":                     `'\t=1`,
		"\r1":                      `'\r1`,
		"＝1":                       "'＝1",
		"x;=HYPERLINK(\"a\")":      "x;'=HYPERLINK(\"a\")",
		"x; +1;@y":                 "x;' +1;'@y",
		"env=prod;team=a":          "env=prod;team=a",
		"acme\u202e.okta.com":      `acme\u202e.okta.com`,
		"a\u200b=1, \"quoted\", é": `a\u200b=1, "quoted", é`,
	} {
		if got := Spreadsheet([]string{in})[0]; got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
