package report

import "testing"

func TestFlowText(t *testing.T) {
	for text, want := range map[string]string{
		"ACTIVE":                         "ACTIVE",
		"":                               `""`,
		"5":                              `"5"`,
		"From offices":                   `"From offices"`,
		`user.userType=="contractor"`:    `'user.userType=="contractor"'`,
		`user.name=="O'Hara"`:            `"user.name==\"O'Hara\""`,
		`"`:                              `'"'`,
		"user.department=='Sales'":       "user.department=='Sales'",
		"user.department=='Sales, EMEA'": `"user.department=='Sales, EMEA'"`,
	} {
		if got := flowText(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}
