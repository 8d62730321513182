package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"reconciler/internal/strictyaml/schemagen"
)

// forms are the schemas of the texts that the tag form names. Each takes
// everything that resolver takes, and refuses of the rest what a pattern can.
var forms = map[string]func(*schemagen.Schema){
	"word":       like(`^[^\s` + control + `]+$`),
	"path":       like(`^[^` + control + `]+$`),
	"phrase":     like(`\S`),
	"repository": like(`^/*[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+/*$`),
	"oktaDomain": both(like(`^[A-Za-z0-9-]+\.`+oktaCom+`$`), unlike(`^[^.]*-`+anyCase("admin")+`\.`)),
	"webURL":     both(like(`^(`+httpsURL+`|`+httpURL+`)/?$`), unlike(`//[^./]*-`+anyCase("admin")+`\.`+oktaCom+`(:[0-9]*)?/?$`)),
	"apiURL":     like(`^(` + httpsURL + `|` + httpURL + `)(/[^?#@]*)?$`),
	"pageURL":    like(`^` + anyCase("http") + `[Ss]?://[^\s/?#@:][^\s/?#@]*([/?#]\S*)?$`),
	"gitURL":     gitURLForm,
	"cron":       like(`^\s*` + cronPattern() + `\s*$`),
	"schedule": both(like(`^\s*(((CRON_)?TZ=[^ ]+ \s*)?(`+cronPattern()+`|@(hourly|daily|midnight|weekly|monthly|yearly|annually))`+
		`|@every\s+\+?`+durationPattern+`)\s*$`), unlike(`^\s*@every\s+\+?(0|([0.]+[a-zµμ]+)+|0*[0-9]{1,3}(\.[0-9]*)?ms|0*\.[0-9]+s)\s*$`)),
	"globs": func(s *schemagen.Schema) {
		const char = `[A-Za-z0-9.*?\[\]^-]`
		s.Items.Pattern = `^` + char + `*[.*?\[\]]` + char + `*$`
	},
	"events": func(s *schemagen.Schema) {
		for _, t := range EventTypes() {
			s.Items.Enum = append(s.Items.Enum, t)
		}
	},
	"selector":  selectorForm,
	"digest":    like(`\S`),
	"orgsURL":   orgsURLForm,
	"domains":   items(`^[A-Za-z0-9.-]+$`),
	"addresses": items(`^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`),
	"groupNames": func(s *schemagen.Schema) {
		s.Items.Pattern = `^[^` + control + `]*[^\s` + control + `][^` + control + `]*$`
	},
	"command":   commandForm,
	"originURL": like(`^(` + httpsURL + `|` + httpURL + `)/?$`),
	"address":   like(`^([^:\[\]]*|\[[^\[\]]*\]):(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$`),
	"time":      like(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{1,2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`),
	"appID":     textOr(`^[A-Za-z0-9._-]+$`, &schemagen.Schema{Type: "number"}),
	"number":    textOr(`^[0-9]+$`, &schemagen.Schema{Type: "integer", Minimum: "0"}),
}

const (
	control         = `\x00-\x1f\x7f-\x9f`
	durationPattern = `(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)`
	urlHost         = `[^\s/?#@:][^\s/?#@]*`
	urlPath         = `/[^\s?#]*[^\s?#/][^\s?#]*`
)

var (
	oktaCom  = `(` + anyCase("okta") + `|` + anyCase("oktapreview") + `|` + anyCase("okta-emea") + `)\.` + anyCase("com")
	httpsURL = anyCase("https") + `://` + urlHost
	// httpURL is one of this machine.
	httpURL = anyCase("http") + `://(` + loopback + `)(:[0-9]*)?`
	// loopback is a host that may be this machine.
	loopback = anyCase("localhost") + `|127\.[0-9.]+|\[[0-9A-Fa-f:.]+\]`
)

func like(pattern string) func(*schemagen.Schema) {
	return func(s *schemagen.Schema) { s.Pattern = pattern }
}

func unlike(pattern string) func(*schemagen.Schema) {
	return func(s *schemagen.Schema) { s.Not = &schemagen.Schema{Pattern: pattern} }
}

func both(a, b func(*schemagen.Schema)) func(*schemagen.Schema) {
	return func(s *schemagen.Schema) { a(s); b(s) }
}

// items is for lists of texts.
func items(pattern string) func(*schemagen.Schema) {
	return func(s *schemagen.Schema) { s.Items.Pattern = pattern }
}

// commandForm takes a program, or a list of it and its arguments.
func commandForm(s *schemagen.Schema) {
	one := uint64(1)
	const path = `^[^` + control + `]*/[^` + control + `]*$`
	word := &schemagen.Schema{Type: "string"}
	list := &schemagen.Schema{Type: "array", Items: word, MinItems: &one}
	s.Type, s.Items = "", nil
	s.AnyOf = []*schemagen.Schema{{Type: "string", Pattern: path}, list}
}

// selectorForm takes a list of terms, or a mapping of labels.
func selectorForm(s *schemagen.Schema) {
	one := uint64(1)
	list := &schemagen.Schema{Type: "array", Items: s.Items, MinItems: &one}
	s.Type, s.Items = "", nil
	s.AnyOf = []*schemagen.Schema{list, {Type: "object", MinProperties: &one, AdditionalProperties: &schemagen.Schema{Type: "string"}}}
}

// orgsURLForm takes the URLs that orgsURL takes, which have {domain} somewhere, and no
// other braces.
func orgsURLForm(s *schemagen.Schema) {
	s.Pattern = `^(` + httpsURL + `|` + httpURL + `)(/[^?#@]*)?$`
	s.AllOf = []*schemagen.Schema{{Pattern: `\{domain\}`}, {Pattern: `^([^{}]|\{domain\})*$`}}
}

// textOr is for text that is taken without quotes too.
func textOr(pattern string, number *schemagen.Schema) func(*schemagen.Schema) {
	return func(s *schemagen.Schema) {
		s.Type = ""
		s.AnyOf = []*schemagen.Schema{{Type: "string", Pattern: pattern}, number}
	}
}

// anyCase returns a pattern that matches the word in any case: not all dialects
// have a flag for it.
func anyCase(word string) string {
	var b strings.Builder
	for _, r := range word {
		if u := unicode.ToUpper(r); u != r {
			fmt.Fprintf(&b, "[%c%c]", u, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// gitURLForm takes the URLs that gitURL takes, and all that has no scheme: a
// pattern can't tell user@host:path from a path on disk.
func gitURLForm(s *schemagen.Schema) {
	urls := []string{
		httpsURL + urlPath,
		httpURL + urlPath,
		anyCase("ssh") + `://([^\s/?#@:]*@)?` + urlHost + urlPath,
		anyCase("file") + `://(localhost)?(/[^\s?#]*)?`,
	}
	s.AnyOf = []*schemagen.Schema{
		{Pattern: `^(` + strings.Join(urls, "|") + `)$`},
		{Pattern: `^[^` + control + `]+$`, Not: &schemagen.Schema{Pattern: `://`}},
	}
}

// cronPattern matches five fields as the parser reads them; it doesn't know the
// names of months and days.
func cronPattern() string {
	var fields []string
	for _, value := range []string{
		`[0-5]?[0-9]`,
		`(1?[0-9]|2[0-3])`,
		`([1-9]|[12][0-9]|3[01])`,
		`([1-9]|1[0-2]|[A-Za-z]{3})`,
		`([0-6]|[A-Za-z]{3})`,
	} {
		value = `\+?0*` + value
		item := `([*?](-[^/,\s]*)*|` + value + `(-` + value + `)?)(/\+?0*[1-9][0-9]*)?`
		fields = append(fields, `,*`+item+`(,+`+item+`)*,*`)
	}
	return strings.Join(fields, `\s+`)
}

// durations are the bounds of durations. Patterns can check whole numbers of one
// unit, which is what people write.
var durations = map[string]struct {
	lo, hi time.Duration
	orZero bool
}{
	"aerial.timeout":             {lo: 100 * time.Millisecond, hi: 10 * time.Minute},
	"parents.0.settle":           {hi: time.Hour},
	"jitter":                     {hi: time.Hour},
	"windows.0.duration":         {lo: minWindow, hi: maxWindow},
	"orgs.every":                 {hi: maxEvery},
	"guards.deactivationCooloff": {lo: time.Minute, hi: 720 * time.Hour, orZero: true},
	"guards.revertWithin":        {hi: 720 * time.Hour},
	"commands.timeout":           {lo: minCommandTime, hi: maxCommandTime},
	"commands.cache":             {hi: maxCommandCache},
	"state.retention":            {lo: minRetention, hi: maxRetention},
}

// outside matches durations out of bounds: whole numbers of one unit, what is
// negative, and those of several units of which one alone is too long.
func outside(lo, hi time.Duration, orZero bool) string {
	const parts, part = `([0-9.]+[a-zµμ]+)*`, `[0-9]*[1-9][0-9]*(\.[0-9]*)?[a-zµμ]+`
	all := []string{`-.*[1-9].*`}
	if lo > 0 && !orZero {
		all = append(all, `[+-]?0*0(ms|s|m|h)?`)
	}
	for _, u := range units {
		most := int64(hi / u.d)
		all = append(all, `\+?`+parts+`0*(`+moreThan(most)+`)(\.[0-9]*)?`+u.name+parts)
		if most > 0 {
			all = append(all, fmt.Sprintf(`\+?%s0*%d%s%s%s%s`, parts, most, u.name, parts, part, parts))
		}
	}
	if lo > 0 {
		all = append(all, below(lo))
	}
	return `^(` + strings.Join(all, "|") + `)$`
}

// below matches durations above zero that are shorter than lo: whole numbers of one unit.
func below(lo time.Duration) string {
	var all []string
	for _, u := range units {
		if least := int64((lo + u.d - 1) / u.d); least > 1 {
			all = append(all, `\+?0*(`+positiveBelow(least)+`)`+u.name)
		}
	}
	return strings.Join(all, "|")
}

// units are those of which patterns check the numbers.
var units = []struct {
	name string
	d    time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}

// moreThan matches whole numbers above n, and positiveBelow those from 1 to n-1,
// without leading zeros.
func moreThan(n int64) string {
	digits := strconv.FormatInt(n, 10)
	all := []string{fmt.Sprintf(`[1-9][0-9]{%d,}`, len(digits))}
	for i, d := range digits {
		if d < '9' {
			all = append(all, fmt.Sprintf(`%s[%c-9][0-9]{%d}`, digits[:i], d+1, len(digits)-i-1))
		}
	}
	return strings.Join(all, "|")
}

func positiveBelow(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var all []string
	if len(digits) > 1 {
		all = append(all, fmt.Sprintf(`[1-9][0-9]{0,%d}`, len(digits)-2))
	}
	for i, d := range digits {
		first := '0'
		if i == 0 {
			first = '1'
		}
		if d > first {
			all = append(all, fmt.Sprintf(`%s[%c-%c][0-9]{%d}`, digits[:i], first, d-1, len(digits)-i-1))
		}
	}
	return strings.Join(all, "|")
}

// Each text of the config has a form, or a pattern of its own.
func TestForms(t *testing.T) {
	used := map[string]bool{}
	for _, fd := range allFields() {
		form := fd.tag.Get("form")
		used[form] = true
		if forms[form] == nil && form != "" {
			t.Errorf("%s has the unknown form %q", fd.path, form)
		}
		_, text := fd.value.FieldByName("V").Interface().(string)
		if text && form == "" && !fd.envOnly && !strings.Contains(fd.tag.Get("jsonschema"), "pattern=") {
			t.Errorf("%s has no form", fd.path)
		}
	}
	for form := range forms {
		if !used[form] {
			t.Errorf("the form %q is not used", form)
		}
	}
}
