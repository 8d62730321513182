package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const (
	plain = "It's a Secret to Everybody"
	main  = "refs/heads/main"
	// token is the example of Standard Webhooks' libraries.
	token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// bench is a handler with its clock, its log and what it did.
type bench struct {
	http.Handler
	secret   string
	problem  error
	now      time.Time
	looks    int
	observed []string
	log      bytes.Buffer
}

func newBench(secret, ref string) *bench {
	b := &bench{secret: secret, now: time.Unix(1_614_265_330, 0)}
	b.Handler = New(Options{
		Secret:  func() ([]byte, error) { return []byte(b.secret), b.problem },
		Ref:     ref,
		Wake:    func() error { b.looks++; return nil },
		Now:     func() time.Time { return b.now },
		Logger:  slog.New(slog.NewTextHandler(&b.log, nil)),
		Observe: func(result string) { b.observed = append(b.observed, result) },
	})
	return b
}

// post sends a request. Headers are "Name: value", one a line.
func (b *bench) post(headers, body string) (status int, text string) {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, request(headers, body))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func request(headers, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/git", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	fresh := map[string]bool{}
	for line := range strings.Lines(headers) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		if !fresh[name] {
			r.Header.Del(name)
		}
		fresh[name] = true
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

func mac(secret, body string) string { return hex.EncodeToString(sum([]byte(secret), []byte(body))) }

func github(secret, body string) string {
	return "X-GitHub-Event: push\nX-Hub-Signature: sha1=00\nX-Hub-Signature-256: sha256=" + mac(secret, body) + "\n"
}

// forgejo gives all that Forgejo sends of it.
func forgejo(secret, body string) string {
	m := mac(secret, body)
	return "X-Forgejo-Event: push\nX-Gitea-Event: push\nX-Gogs-Event: push\nX-GitHub-Event: push\nX-Forgejo-Signature: " + m +
		"\nX-Gitea-Signature: " + m + "\nX-Gogs-Signature: " + m + "\nX-Hub-Signature: sha1=00\nX-Hub-Signature-256: sha256=" + m + "\n"
}

func gitlab(token string) string { return "X-Gitlab-Event: Push Hook\nX-Gitlab-Token: " + token + "\n" }

// signed is GitLab with a signing token.
func signed(token, id string, at time.Time, body string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, signingPrefix))
	if err != nil {
		panic(err)
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	return "X-Gitlab-Event: Push Hook\nwebhook-id: " + id + "\nwebhook-timestamp: " + stamp + "\nwebhook-signature: v1," +
		base64.StdEncoding.EncodeToString(sum(key, []byte(id+"."+stamp+"."+body))) + "\n"
}

const (
	toMain = `{"ref":"refs/heads/main","before":"11aa","after":"22bb","deleted":false,"commits":[]}`
	toTag  = `{"ref":"refs/tags/main","after":"22bb"}`
	toDev  = `{"ref":"refs/heads/dev","after":"22bb"}`
)

// The vectors that the senders publish.
func TestPublishedVectors(t *testing.T) {
	// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
	const hello = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	b := newBench(plain, main)
	for _, tt := range []struct {
		event string
		code  int
	}{{"ping", 200}, {"issues", 202}, {"push", 400}} { // the payload is proven, and no JSON
		if code, _ := b.post("X-GitHub-Event: "+tt.event+"\nX-Hub-Signature-256: sha256="+hello, "Hello, World!"); code != tt.code {
			t.Errorf("GitHub's example as %s: %d, not %d\n%s", tt.event, code, tt.code, &b.log)
		}
	}
	if code, _ := b.post("X-GitHub-Event: ping\nX-Hub-Signature-256: sha256="+hello, "Hello, World"); code != 403 {
		t.Errorf("changed: %d", code)
	}
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/go/webhook_test.go
	b = newBench(token, main)
	head := "X-Gitlab-Event: Push Hook\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nwebhook-timestamp: 1614265330\n" +
		"webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n"
	if code, text := b.post(head, `{"test": 2432232314}`); code != 202 || text != ignored.text {
		t.Errorf("Standard Webhooks' example: %d %s\n%s", code, text, &b.log)
	}
	if code, _ := b.post(head, `{"test": 2432232315}`); code != 403 {
		t.Errorf("changed: %d", code)
	}
}

func TestServe(t *testing.T) {
	at := time.Unix(1_614_265_330, 0)
	event := func(headers, name string) string {
		return strings.NewReplacer("Event: push", "Event: "+name, "Event: Push Hook", "Event: "+name).Replace(headers)
	}
	form := "payload=" + url.QueryEscape(toMain)
	const formType = "Content-Type: application/x-www-form-urlencoded\n"
	other := "whsec_" + strings.Repeat("A", 32)
	gone := `{"ref":"refs/heads/main","after":"0000000000000000000000000000000000000000"}`
	tests := []struct {
		name, secret, ref, headers, body string
		status                           int
		result, logged                   string
	}{
		{"GitHub", plain, main, github(plain, toMain), toMain, 202, Accepted, ""},
		{"GitHub, form", plain, main, formType + github(plain, form), form, 202, Accepted, ""},
		{"GitHub, form with more fields", plain, main, formType + github(plain, "a=b&"+form+"&c"), "a=b&" + form + "&c", 202, Accepted, ""},
		{"GitHub, charset", plain, main, "Content-Type: application/json; charset=utf-8\n" + github(plain, toMain), toMain, 202, Accepted, ""},
		{"Forgejo", plain, main, forgejo(plain, toMain), toMain, 202, Accepted, ""},
		{"Gitea, form: the payload is signed", plain, main, formType + forgejo(plain, toMain), form, 202, Accepted, ""},
		{"Gitea alone", plain, main, "X-Gitea-Event: push\nX-Gitea-Signature: " + mac(plain, toMain), toMain, 202, Accepted, ""},
		{"upper case", plain, main, "X-Gitea-Event: push\nX-Gitea-Signature: " + strings.ToUpper(mac(plain, toMain)), toMain, 202, Accepted, ""},
		{"GitLab", plain, main, gitlab(plain), toMain, 202, Accepted, ""},
		{"GitLab, tag", plain, "refs/tags/main", event(gitlab(plain), "Tag Push Hook"), toTag, 202, Accepted, ""},
		{"GitLab, system hook", plain, main, event(gitlab(plain), "System Hook"), `{"event_name":"push","ref":"refs/heads/main"}`, 202, Accepted, ""},
		{"GitLab, signed", token, main, signed(token, "m1", at, toMain), toMain, 202, Accepted, ""},
		{"GitLab, signed, token beside it", token, main, signed(token, "m1", at, toMain) + "X-Gitlab-Token: older", toMain, 202, Accepted, ""},
		{"signed, oldest", token, main, signed(token, "m1", at.Add(-tolerance), toMain), toMain, 202, Accepted, ""},
		{"signed, newest", token, main, signed(token, "m1", at.Add(tolerance), toMain), toMain, 202, Accepted, ""},

		{"ping", plain, main, event(github(plain, "{}"), "ping"), "{}", 200, Ignored, ""},
		{"other event", plain, main, event(github(plain, toMain), "pull_request"), toMain, 202, Ignored, ""},
		{"no event", plain, main, "X-Gitlab-Token: " + plain, toMain, 202, Ignored, ""},
		{"merge request", plain, main, event(gitlab(plain), "Merge Request Hook"), toMain, 202, Ignored, ""},
		{"GitLab, other system hook", plain, main, event(gitlab(plain), "System Hook"), `{"event_name":"user_create","ref":"refs/heads/main"}`, 202, Ignored, ""},
		{"other branch", plain, main, github(plain, toDev), toDev, 202, Ignored, ""},
		{"tag of the branch's name", plain, main, github(plain, toTag), toTag, 202, Ignored, ""},
		{"short ref", plain, main, github(plain, `{"ref":"main"}`), `{"ref":"main"}`, 202, Ignored, ""},
		{"deleted", plain, main, github(plain, gone), gone, 202, Ignored, ""},
		{"deleted, SHA-256 repository", plain, main, gitlab(plain), strings.Replace(gone, `"0`, `"000000000000000000000000`, 1), 202, Ignored, ""},
		{"deleted, said so", plain, main, github(plain, `{"ref":"refs/heads/main","deleted":true}`), `{"ref":"refs/heads/main","deleted":true}`, 202, Ignored, ""},
		{"no ref, none followed", plain, "", github(plain, `{}`), `{}`, 202, Ignored, ""},
		{"fixed commit", plain, "", github(plain, toMain), toMain, 202, Ignored, ""},

		{"no proof", plain, main, "X-GitHub-Event: push", toMain, 403, Refused, "neither a signature nor a token"},
		{"SHA-1 alone", plain, main, "X-GitHub-Event: push\nX-Hub-Signature: sha1=" + mac(plain, toMain)[:40], toMain, 403, Refused, "SHA-1 alone"},
		{"another secret", plain, main, github("else", toMain), toMain, 403, Refused, "signature is wrong"},
		{"another body", plain, main, github(plain, toMain), toMain + " ", 403, Refused, "signature is wrong"},
		{"another token", plain, main, gitlab(plain + "x"), toMain, 403, Refused, "token is wrong"},
		{"no token", plain, main, gitlab(""), toMain, 403, Refused, "token is wrong"},
		{"no prefix", plain, main, "X-Hub-Signature-256: " + mac(plain, toMain), toMain, 403, Refused, "malformed"},
		{"half a signature", plain, main, github(plain, toMain)[:80], toMain, 403, Refused, "malformed"},
		{"hook without a secret", plain, main, "X-Gitea-Event: push\nX-Gitea-Signature:", toMain, 403, Refused, "has no secret"},
		{"one of two holds", plain, main, github(plain, toMain) + "X-Gitea-Signature: " + mac("else", toMain), toMain, 403, Refused, "signature is wrong"},
		{"token beside a bad signature", plain, main, gitlab(plain) + github("else", toMain), toMain, 403, Refused, "signature is wrong"},
		{"signature beside a bad token", plain, main, gitlab("else") + github(plain, toMain), toMain, 403, Refused, "token is wrong"},
		{"twice", plain, main, github(plain, toMain) + "X-Hub-Signature-256: sha256=" + mac(plain, toMain), toMain, 403, Refused, "header twice"},
		{"GitHub's form is signed as a whole", plain, main, formType + github(plain, toMain), form, 403, Refused, "signature is wrong"},

		{"downgrade to the token", token, main, gitlab(token), toMain, 403, Refused, "not signed with a signing token"},
		{"downgrade to the body's", token, main, github(token, toMain), toMain, 403, Refused, "not signed with a signing token"},
		{"signed, secret is none", plain, main, signed(token, "m1", at, toMain), toMain, 403, Refused, "the secret here is not one"},
		{"signed, token holds, secret is none", plain, main, signed(token, "m1", at, toMain) + "X-Gitlab-Token: " + plain, toMain, 403, Refused, "the secret here is not one"},
		{"signed by another", token, main, signed(other, "m1", at, toMain), toMain, 403, Refused, "signature is wrong"},
		{"signed too long ago", token, main, signed(token, "m1", at.Add(-tolerance-time.Second), toMain), toMain, 403, Refused, "more than five minutes"},
		{"signed ahead", token, main, signed(token, "m1", at.Add(tolerance+time.Second), toMain), toMain, 403, Refused, "more than five minutes"},
		{"time changed", token, main, strings.Replace(signed(token, "m1", at, toMain), "1614265330", "1614265331", 1), toMain, 403, Refused, "signature is wrong"},
		{"id changed", token, main, strings.Replace(signed(token, "m1", at, toMain), ": m1", ": m2", 1), toMain, 403, Refused, "signature is wrong"},
		{"full stop in the id", token, main, signed(token, "m.1", at, toMain), toMain, 403, Refused, "webhook-id"},
		{"no id", token, main, signed(token, "", at, toMain), toMain, 403, Refused, "webhook-id"},
		{"time is no number", token, main, strings.Replace(signed(token, "m1", at, toMain), "1614265330", "+614265330", 1), toMain, 403, Refused, "webhook-timestamp"},
		{"asymmetric alone", token, main, strings.Replace(signed(token, "m1", at, toMain), "v1,", "v1a,", 1), toMain, 403, Refused, "malformed"},

		{"secret is empty", "", main, github("", toMain), toMain, 503, Refused, "secret is empty"},
		{"signing token is short", "whsec_AAAA", main, signed("whsec_AAAA", "m1", at, toMain), toMain, 503, Refused, "no signing token"},
		{"signing token is no base64", "whsec_!", main, github("whsec_!", toMain), toMain, 503, Refused, "no signing token"},

		{"no JSON", plain, main, github(plain, "x"), "x", 400, Refused, "no JSON of a push"},
		{"more than JSON", plain, main, github(plain, toMain+"{}"), toMain + "{}", 400, Refused, "no JSON of a push"},
		{"ref is a number", plain, main, github(plain, `{"ref":1}`), `{"ref":1}`, 400, Refused, "no JSON of a push"},
		{"two payloads", plain, main, formType + github(plain, form+"&"+form), form + "&" + form, 400, Refused, "no form with one payload"},
		{"no payload", plain, main, formType + github(plain, "a=b"), "a=b", 400, Refused, "no form with one payload"},
		{"bad escape", plain, main, formType + github(plain, "payload=%zz"), "payload=%zz", 400, Refused, "no form with one payload"},
		{"text", plain, main, "Content-Type: text/plain\n" + github(plain, toMain), toMain, 415, Refused, "content type"},
		{"largest", plain, main, gitlab(plain), toMain + strings.Repeat(" ", maxBody-len(toMain)), 202, Accepted, ""},
		{"too large", plain, main, gitlab(plain), toMain + strings.Repeat(" ", maxBody-len(toMain)+1), 413, Refused, "larger than 5 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(tt.secret, tt.ref)
			status, text := b.post(tt.headers, tt.body)
			looks := 0
			if tt.result == Accepted {
				looks = 1
			}
			if status != tt.status || b.looks != looks || !slices.Equal(b.observed, []string{tt.result}) {
				t.Errorf("got %d, %d looks, %q: %s\n%s", status, b.looks, b.observed, text, &b.log)
			}
			if status == 403 && text != "refused" {
				t.Errorf("the sender is told more: %s", text)
			}
			if logged := b.log.String(); (logged == "") != (tt.logged == "") || !strings.Contains(logged, tt.logged) {
				t.Errorf("logged %q, wanted %q", logged, tt.logged)
			}
			if strings.Contains(text, "refs/") || tt.secret != "" && strings.Contains(text+b.log.String(), tt.secret) {
				t.Errorf("repeats what it was sent: %s\n%s", text, &b.log)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	b := newBench(plain, main)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		r := request(github(plain, toMain), toMain)
		r.Method = method
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		if w.Code != 405 || w.Header().Get("Allow") != "POST" || b.looks != 0 {
			t.Errorf("%s: %d, %v, %d looks", method, w.Code, w.Header(), b.looks)
		}
	}
}

// A signing secret is rotated by signing with both; one that holds is enough.
func TestSeveralSignatures(t *testing.T) {
	b := newBench(token, main)
	good := signed(token, "m1", b.now, toMain)
	wrong := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for i, signatures := range []string{"v1a,x " + wrong + " v1,", wrong + " nonsense v1,", "v1,=== v1,"} {
		if code, _ := b.post(strings.Replace(good, "v1,", signatures, 1), toMain); code != 202 {
			t.Errorf("%d: %d\n%s", i, code, &b.log)
		}
	}
	if code, _ := b.post(strings.Replace(good, "v1,", strings.Repeat(wrong+" ", maxSignatures)+"v1,", 1), toMain); code != 403 {
		t.Errorf("more signatures than are looked at: %d", code)
	}
}

// CheckSecret and the handler agree on which secrets are of use.
func TestCheckSecret(t *testing.T) {
	for secret, words := range map[string]string{
		plain: "", token: "", "x": "", "": "is empty", "whsec_": "no signing token", "whsec_AAAA": "no signing token", "whsec_!": "no signing token",
	} {
		err := CheckSecret([]byte(secret))
		if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", secret, err)
		}
		r := httptest.NewRequest(http.MethodPost, "/hooks/git", nil)
		w := httptest.NewRecorder()
		New(Options{Secret: func() ([]byte, error) { return []byte(secret), nil }, Wake: func() error { return nil }}).ServeHTTP(w, r)
		if (w.Code == http.StatusServiceUnavailable) != (err != nil) {
			t.Errorf("%q: the handler answers %d", secret, w.Code)
		}
	}
}

// The secret is asked for each time: a new one counts at once, and one that
// can't be read lets nobody in.
func TestSecretRotates(t *testing.T) {
	b := newBench(plain, main)
	b.secret = "new"
	if code, _ := b.post(github(plain, toMain), toMain); code != 403 {
		t.Errorf("the old secret: %d", code)
	}
	if code, _ := b.post(github("new", toMain), toMain); code != 202 || b.looks != 1 {
		t.Errorf("the new secret: %d", code)
	}
	b.problem = errors.New(`reading "/run/secrets/hook": no such file`)
	code, text := b.post(github("new", toDev), toDev)
	if code != 503 || text != "not ready" || b.looks != 1 || !strings.Contains(b.log.String(), "level=ERROR") || !strings.Contains(b.log.String(), "no such file") {
		t.Errorf("no secret: %d %s\n%s", code, text, &b.log)
	}
}

// A repeat is accepted like the first: the run that it causes asks git whether
// the branch has moved. Only a signed time that is too far away is refused.
func TestRepeats(t *testing.T) {
	b := newBench(plain, main)
	for _, headers := range []string{github(plain, toMain), github(plain, toMain), forgejo(plain, toMain), gitlab(plain), gitlab(plain)} {
		if code, text := b.post(headers, toMain); code != 202 {
			t.Errorf("%d %s", code, text)
		}
	}
	b.secret = token
	ahead := signed(token, "m3", b.now.Add(tolerance), toMain)
	for range 2 {
		if code, _ := b.post(ahead, toMain); code != 202 {
			t.Errorf("signed ahead: %d", code)
		}
	}
	b.now = b.now.Add(2*tolerance + time.Second)
	if code, _ := b.post(ahead, toMain); code != 403 {
		t.Errorf("signed long ago: %d", code)
	}
	if b.looks != 7 {
		t.Errorf("%d looks", b.looks)
	}
}

// Many requests at once cause one wake-up.
func TestManyAtOnce(t *testing.T) {
	n := NewNotifier()
	h := New(Options{Secret: func() ([]byte, error) { return []byte(plain), nil }, Ref: main, Wake: func() error { n.Notify(); return nil }})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), request(github(plain, toMain), toMain)) })
	}
	wg.Wait()
	<-n.C()
	select {
	case <-n.C():
		t.Error("there is a second wake-up")
	default:
	}
}

// A flood is a few lines in the log.
func TestQuietLog(t *testing.T) {
	b := newBench(plain, main)
	for range 1000 {
		b.post(github("else", toMain), toMain)
		b.post("", toMain)
	}
	if n := strings.Count(b.log.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, &b.log)
	}
	b.log.Reset()
	b.now = b.now.Add(quietFor)
	b.post("", toMain)
	if !strings.Contains(b.log.String(), "unlogged=999") || !strings.Contains(b.log.String(), "from=192.0.2.1 ") {
		t.Error(b.log.String())
	}
	for n := range 5 * maxReasons {
		b.problem = fmt.Errorf("problem %d", n)
		b.post("", "")
	}
	if h := b.Handler.(*handler); len(h.quiet.last) > maxReasons || len(h.quiet.left) > maxReasons {
		t.Errorf("%d reasons are kept", len(h.quiet.last))
	}
}

// Bodies that come slowly take what has come of them, and no push waits for them;
// all together take no more than maxRoom.
func TestBodiesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(plain, main)
		h := b.Handler.(*handler)
		var mu sync.Mutex
		h.Observe = func(r string) { mu.Lock(); b.observed = append(b.observed, r); mu.Unlock() }
		var all []*io.PipeWriter
		codes := make(chan int, 2000)
		slow := func(sent int) {
			body, w := io.Pipe()
			r := request("X-Hub-Signature-256: sha256="+mac("made up", ""), "")
			r.Body, r.ContentLength = body, maxBody
			go func() {
				rec := httptest.NewRecorder()
				b.ServeHTTP(rec, r)
				body.Close()
				codes <- rec.Code
			}()
			go func() { _, _ = w.Write(make([]byte, sent)) }()
			all = append(all, w)
		}
		push := func(body string, code int) {
			t.Helper()
			if got, text := b.post(github(plain, body), body); got != code {
				t.Errorf("a push of %d bytes: %d %s\n%s", len(body), got, text, &b.log)
			}
		}
		large := toMain + strings.Repeat(" ", maxBody-len(toMain))
		for range 1000 {
			slow(1)
		}
		synctest.Wait()
		push(large, 202)
		for range maxRoom / maxBody {
			slow(maxBody - 1)
		}
		synctest.Wait()
		push(large+" ", 413)
		push(large, 429)
		push(strings.Replace(toMain, "11aa", "33cc", 1), 202) // some room is left
		for range 2 * maxRoom / maxBody {
			slow(maxBody - 1)
		}
		synctest.Wait()
		if !strings.Contains(b.log.String(), "too much is being sent at the same time") || strings.Contains(b.log.String(), "has no secret") {
			t.Errorf("logged:\n%s", &b.log)
		}
		for _, w := range all {
			w.CloseWithError(io.ErrUnexpectedEOF)
		}
		refused := map[int]int{}
		for range all {
			refused[<-codes]++
		}
		if refused[400] < 1000 || refused[429] < 2*maxRoom/maxBody || len(refused) != 2 {
			t.Errorf("the others: %v", refused)
		}
		if left := h.room.Load(); left != maxRoom {
			t.Errorf("%d of %d bytes are free at the end", left, maxRoom)
		}
		push(strings.Replace(large, "11aa", "44dd", 1), 202)
		if b.looks != 3 {
			t.Errorf("%d looks", b.looks)
		}
	})
}

// A body is read whole, wherever it is cut on its way, and whatever its length.
func TestBodyInPieces(t *testing.T) {
	for _, size := range []int{0, 1, firstRoom - 1, firstRoom, firstRoom + 1, 3 * firstRoom, maxBody - 1, maxBody} {
		body := strings.Repeat("x", size)
		h := New(Options{}).(*handler)
		r := httptest.NewRequest(http.MethodPost, "/", iotest.HalfReader(strings.NewReader(body)))
		got, taken, bad := h.read(httptest.NewRecorder(), r)
		if bad != nil || string(got) != body {
			t.Errorf("%d: got %d bytes, %v", size, len(got), bad)
		}
		if taken < len(got) || h.room.Load() != maxRoom-int64(taken) {
			t.Errorf("%d: %d bytes are taken, %d are free", size, taken, h.room.Load())
		}
	}
}

// Over a socket: a body that grows too large, one that stops, and one that is
// announced to be too large, of which nothing is read.
func TestOverHTTP(t *testing.T) {
	b := newBench(plain, main)
	srv := httptest.NewUnstartedServer(b.Handler)
	srv.Config.ReadTimeout = 2 * time.Second
	srv.Start()
	defer srv.Close()
	post := func(body io.Reader) (int, string) {
		r, err := http.NewRequest(http.MethodPost, srv.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = request(gitlab(plain), "").Header
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	if code, text := post(strings.NewReader(toMain)); code != 202 || text != accepted.text+"\n" {
		t.Errorf("%d %q", code, text)
	}
	// A client may not come to read the answer, as it is still writing.
	if code, text := post(io.MultiReader(strings.NewReader(toMain), strings.NewReader(strings.Repeat(" ", maxBody)))); code != 413 && code != 0 {
		t.Errorf("too large: %d %q", code, text)
	}
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Gitlab-Token: %s\r\nContent-Length: 100\r\n\r\n{", plain)
	answer, _ := io.ReadAll(conn)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400")) {
		t.Errorf("a body that stops: %q", answer)
	}
	if b.looks != 1 {
		t.Errorf("%d looks", b.looks)
	}
}

// Without the options that may be left out.
func TestDefaults(t *testing.T) {
	looks := 0
	h := New(Options{Secret: func() ([]byte, error) { return []byte(token), nil }, Ref: main, Wake: func() error { looks++; return nil }})
	for _, at := range []time.Time{time.Now(), time.Now().Add(-time.Hour)} {
		h.ServeHTTP(httptest.NewRecorder(), request(signed(token, "m1", at, toMain), toMain))
	}
	if looks != 1 {
		t.Errorf("%d looks", looks)
	}
}

func TestNotifier(t *testing.T) {
	b := NewNotifier()
	runs := 0
	for range 3 {
		for range 100 {
			b.Notify()
		}
		<-b.C()
		runs++
		b.Notify() // during the run
		b.Notify()
		<-b.C()
		runs++
		select {
		case <-b.C():
			t.Fatal("one run too many")
		default:
		}
	}
	if runs != 6 {
		t.Error(runs)
	}
}

// FuzzServe: whatever comes, it is answered; without a proof that holds git is
// not looked at, and with one and our ref it is, once for each request.
func FuzzServe(f *testing.F) {
	at := time.Unix(1_614_265_330, 0)
	for _, secret := range []string{plain, token, "whsec_", ""} {
		for _, body := range []string{toMain, toDev, "payload=" + url.QueryEscape(toMain), "", "{"} {
			f.Add(secret, github(secret, body), body)
			f.Add(secret, "Content-Type: application/x-www-form-urlencoded\n"+forgejo(plain, body), body)
			f.Add(secret, gitlab(secret), body)
			f.Add(secret, signed(token, "m1", at, body), body)
		}
	}
	statuses := []int{200, 202, 400, 403, 413, 415, 503} // never 429: one alone has room
	f.Fuzz(func(t *testing.T, secret, headers, body string) {
		b := newBench(secret, main)
		status, text := b.post(headers, body)
		if !slices.Contains(statuses, status) || len(b.observed) != 1 || text == "" {
			t.Fatalf("%d %q, %q", status, text, b.observed)
		}
		if status < 300 && !proven(secret, request(headers, body).Header, body) {
			t.Fatalf("%d without a proof", status)
		}
		if (b.looks == 1) != (b.observed[0] == Accepted) || b.looks > 1 {
			t.Fatalf("%d looks, %q", b.looks, b.observed)
		}
		if strings.Contains(b.log.String(), "\nlevel") {
			t.Fatal("the log can be written to from outside")
		}

		// The same body with a proof, announced as a push of our ref.
		b = newBench(plain, main)
		escaped := strings.ToValidUTF8(strings.Map(func(r rune) rune {
			if r < ' ' || r == '"' || r == '\\' {
				return '_'
			}
			return r
		}, body), "_")
		ours := `{"message":"` + escaped + `","ref":"refs/heads/main"}`
		for i := range 2 {
			if status, _ := b.post(github(plain, ours), ours); status != 202 || b.looks != i+1 {
				t.Fatalf("%d, %d looks for %q\n%s", status, b.looks, ours, &b.log)
			}
		}
	})
}

// proven says, in another way than the product, whether any proof holds.
func proven(secret string, h http.Header, body string) bool {
	if form, err := url.ParseQuery(body); err == nil && len(form["payload"]) == 1 && proven(secret, h, form.Get("payload")) {
		return true
	}
	if rest, ok := strings.CutPrefix(secret, signingPrefix); ok {
		key, _ := base64.StdEncoding.DecodeString(rest)
		expected := "v1," + base64.StdEncoding.EncodeToString(sum(key, []byte(h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+body)))
		return slices.Contains(strings.Fields(h.Get("webhook-signature")), expected)
	}
	m := mac(secret, body)
	return h.Get("X-Gitlab-Token") == secret || h.Get("X-Hub-Signature-256") == "sha256="+m ||
		strings.EqualFold(h.Get("X-Gitea-Signature"), m) || strings.EqualFold(h.Get("X-Forgejo-Signature"), m)
}

// FuzzStandardWebhooks: what is read of the headers keeps to the specification,
// and a signature is good for one id, one time and one body only.
func FuzzStandardWebhooks(f *testing.F) {
	f.Add("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", `{"test": 2432232314}`)
	f.Add("m.1", "-1", "v1,", "")
	f.Add("m", "99999999999", "v1a,x  v1,AAAA v1", "1.{}")
	key := []byte("0123456789abcdef0123456789abcdef")
	f.Fuzz(func(t *testing.T, id, stamp, signatures, body string) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signatures}}
		s, problem := readStandard(h)
		if (s == nil) == (problem == "") {
			t.Fatalf("%v, %q", s, problem)
		}
		if s != nil {
			if strconv.FormatInt(s.at.Unix(), 10) != strings.TrimLeft(stamp[:len(stamp)-1], "0")+stamp[len(stamp)-1:] {
				t.Errorf("time %q was read as %s", stamp, s.at)
			}
			if len(s.macs) == 0 || len(s.macs) > maxSignatures || strings.Contains(id, ".") || id == "" {
				t.Errorf("%q, %d signatures", id, len(s.macs))
			}
			if s.signed(key, []byte(body)) {
				t.Error("somebody signed without the key")
			}
		}
		// Signed, it holds; and not for anything else that is put together alike.
		h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(sum(key, []byte(id+"."+stamp+"."+body))))
		s, _ = readStandard(h)
		if s == nil {
			return // id or time make no sense
		}
		if !s.signed(key, []byte(body)) {
			t.Error("a good signature was refused")
		}
		for name, value := range map[string]string{"webhook-id": id + "." + stamp, "webhook-timestamp": stamp + "." + body} {
			forged := maps.Clone(h)
			forged.Set(name, value)
			if f, _ := readStandard(forged); f != nil && f.signed(key, []byte(body)) {
				t.Errorf("another %s was accepted", name)
			}
		}
	})
}
