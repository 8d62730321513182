package browsertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// signIn signs somebody in at the provider, from a page of the daemon, and returns where
// that leads.
func signIn(t *testing.T, user, path string) *tab {
	t.Helper()
	b := open(t, stage.guarded)
	b.mayAlso = append(b.mayAlso, stage.provider.URL)
	b.expect("401")
	b.follow(chromedp.Navigate(b.base + path))
	if !eval[bool](b, `!!document.querySelector("#signin")`) {
		t.Fatalf("%s asks nobody to sign in:\n%s", path, b.text())
	}
	b.click(`#signin`)
	b.do(chromedp.SendKeys(chromedp.ID("user"), user))
	b.follow(chromedp.Click(chromedp.ID("login")))
	return b
}

// TestOperator signs in at an OpenID provider as an operator, has the daemon run, and
// signs out.
func TestOperator(t *testing.T) {
	need(t)
	t.Parallel()
	b := signIn(t, "ada", "/orgs?state=drifted")
	if at := b.where(); at != "/orgs?state=drifted" {
		t.Errorf("after signing in one is at %s", at)
	}
	b.contains(lessOrg)
	if who := eval[string](b, `document.querySelector("header .user").innerText`); !strings.Contains(who, "ada@acme.example") || !strings.Contains(who, "operator") {
		t.Errorf("signed in as %q", who)
	}
	b.visit("/")
	const form = `form[action="/actions/run"]`
	b.do(chromedp.Click(chromedp.CSS(`#act-run summary`)))
	b.do(chromedp.SendKeys(chromedp.CSS(form+` [name=reason]`), "after the change in amer"))
	b.click(form + ` button`)
	if at := b.where(); !strings.HasPrefix(at, "/") || strings.Contains(at, "reason") {
		t.Errorf("after the run one is at %s", at)
	}
	b.visit("/history?type=operator")
	b.contains("ada@acme.example", "after the change in amer")

	// The session is kept where no script and no other site gets at it.
	if cookie := eval[string](b, `document.cookie`); cookie != "" {
		t.Errorf("scripts see the cookie %q", cookie)
	}
	b.follow(chromedp.Click(chromedp.CSS(`form.signout button`)))
	b.follow(chromedp.Navigate(b.base + "/orgs"))
	if text := eval[string](b, `document.body.innerText`); strings.Contains(text, lessOrg) || !eval[bool](b, `!!document.querySelector("#signin")`) {
		t.Errorf("after signing out:\n%s", text)
	}
}

// TestViewer signs in as a viewer, who is offered no action, and is refused one that is
// sent all the same.
func TestViewer(t *testing.T) {
	need(t)
	t.Parallel()
	b := signIn(t, "bob", "/")
	b.contains(lessOrg)
	if n := eval[int](b, `document.querySelectorAll('form[action^="/actions/"]').length`); n != 0 {
		t.Errorf("a viewer is offered %d actions", n)
	}
	b.expect("403")
	for _, action := range []string{"run", "suspend", "resume", "acknowledge"} {
		status := eval[int](b, fmt.Sprintf(`(() => {
			const sent = new URLSearchParams({reason: "because", return: "/"});
			for (const i of document.querySelectorAll("form.signout input[type=hidden]")) sent.set(i.name, i.value);
			return fetch("/actions/%s", {method: "POST", body: sent}).then(r => r.status);
		})()`, action))
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", action, status)
		}
	}
	b.visit("/history?type=operator")
	if text := b.text(); strings.Contains(text, "bob") {
		t.Errorf("the history has what was refused:\n%s", text)
	}
}

// TestStranger signs in as somebody who is in no group.
func TestStranger(t *testing.T) {
	need(t)
	t.Parallel()
	b := signIn(t, "eve", "/")
	b.expect("403")
	if text := eval[string](b, `document.body.innerText`); strings.Contains(text, lessOrg) {
		t.Errorf("somebody without a role sees:\n%s", text)
	}
	b.follow(chromedp.Navigate(b.base + "/orgs"))
	if text := eval[string](b, `document.body.innerText`); strings.Contains(text, lessOrg) {
		t.Errorf("somebody without a role sees:\n%s", text)
	}
}

// TestSignInAccessible has axe-core look at the page that asks to sign in, and that it fits
// on a phone.
func TestSignInAccessible(t *testing.T) {
	needAxe(t)
	t.Parallel()
	b := open(t, stage.guarded)
	b.expect("401")
	b.do(size(390, 844))
	b.follow(chromedp.Navigate(b.base + "/"))
	for _, f := range b.axe() {
		t.Errorf("%s (%s): %s", f.ID, f.Impact, f.Help)
	}
	if wide := eval[[]string](b, fits); len(wide) > 0 {
		t.Errorf("wider than the screen: %q", wide)
	}
}
