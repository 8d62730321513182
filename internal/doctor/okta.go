package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/rest"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// Okta accepts a clock that is some minutes off, and doesn't document how many.
	skewWarning = 30 * time.Second
	skewFailure = 5 * time.Minute
)

// aerial looks whether the config says all that is needed.
func (e *examination) aerial(context.Context) Check {
	if err := e.cfg.NeedAerial(); err != nil {
		return failed(err.Error(), text.Hint(err))
	}
	a := &e.cfg.Aerial
	return fine("account %s at %s, signing in at %s as %s", a.AccountID, a.URL, a.Auth.OrgURL, a.Auth.ClientID)
}

// privateKey looks at the service app's key; its strength is checked as it is
// read.
func (e *examination) privateKey(ctx context.Context) Check {
	key, err := reconcile.ReadKey(ctx, e.cfg.Aerial.Auth.PrivateKey)
	if err != nil {
		return failed(text.JoinLines(err.Error()), cmp.Or(text.Hint(err), keyHint(err)))
	}
	if signer := e.cfg.Aerial.Auth.PrivateKey.Signer(); signer != nil {
		if _, err := key.Sign(ctx, []byte("trial")); err != nil {
			return failed(text.JoinLines(err.Error()), cmp.Or(text.Hint(err), "the program must sign with the private half of "+signer.PublicName()))
		}
	}
	e.key = key
	configured := e.cfg.Aerial.Auth.KeyID
	id := cmp.Or(configured, key.ID)
	switch {
	case id == "":
		return failed(key.String()+", and nothing says under which id Okta knows it", "set "+config.KeyAerialKeyID+" to the id that Okta shows beside the public key (kid)")
	case configured != "" && key.ID != "" && configured != key.ID:
		return warned(fmt.Sprintf("%s, used as %q, and the JWK says %q", key, configured, key.ID), "remove "+config.KeyAerialKeyID+", unless Okta knows the key by it")
	}
	return fine("%s, key id %q", key, id)
}

func keyHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "put the key there, or correct the path in the config"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that this program runs as read it, and nobody else"
	default:
		return "make a key pair at the service app (Okta keeps the public half), and save the private one as PEM or JWK"
	}
}

// reach asks a server for anything at all, without credentials.
func (e *examination) reach(ctx context.Context, u *url.URL, key string) (http.Header, Check) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, failed(text.JoinLines(err.Error()), "")
	}
	req.Header.Set("User-Agent", web.UserAgent(ctx))
	start := time.Now()
	// The transport itself is asked, not an http.Client: that would follow
	// redirects.
	resp, err := e.opts.Transport.RoundTrip(req)
	if err != nil {
		words := fmt.Sprintf("%s can't be reached: %s", web.OriginOf(u), text.Clean(err.Error()))
		if ctx.Err() != nil {
			words = fmt.Sprintf("%s can't be reached: %s", web.OriginOf(u), e.words(ctx, err, nil))
		}
		return nil, failed(words, cmp.Or(rest.WayHint(err, key), "check "+key+", firewall and proxy"))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
	return resp.Header, fine("%s answers within %v", web.OriginOf(u), max(time.Since(start).Round(time.Millisecond), time.Millisecond))
}

// aerialOrg reaches the org that gives tokens, and compares clocks on the way.
func (e *examination) aerialOrg(ctx context.Context) Check {
	sent := e.opts.Now()
	// This needs no credentials, and any answer will do.
	header, found := e.reach(ctx, e.cfg.Aerial.Auth.OrgURL.JoinPath(".well-known", "okta-organization"), config.KeyAerialOrgURL)
	received := e.opts.Now()
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		// A Date is cut to the second, so it is half a second late on average.
		skew := sent.Add(received.Sub(sent) / 2).Sub(date.Add(500 * time.Millisecond)).Round(time.Second)
		e.skew = &skew
	}
	return found
}

// clock judges by how much this machine's clock differs from Okta's. Assertions
// and proofs carry the time, and are refused when it is wrong.
func (e *examination) clock(context.Context) Check {
	if e.skew == nil {
		return warned("not known: the Aerial org's answer has no Date", "look whether a proxy removes it")
	}
	skew := *e.skew
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	words := fmt.Sprintf("%v %s Okta's", skew.Abs(), way)
	const hint = "set this machine's clock (NTP): Okta refuses to give tokens when it is too far off"
	switch {
	case skew.Abs() > skewFailure:
		return failed(words, hint)
	case skew.Abs() > skewWarning:
		return warned(words, hint)
	case skew.Abs() <= time.Second:
		return fine("as Okta's, to the second")
	}
	return fine("%s", words)
}

// readToken asks for the token that all reading is done with.
func (e *examination) readToken(ctx context.Context) Check {
	a := &e.cfg.Aerial
	e.wire = &recorder{base: e.opts.Transport}
	app, err := reconcile.OpenServiceApp(&a.Auth, a.Timeout, e.clientOptions(e.wire))
	if err != nil {
		return failed(text.JoinLines(err.Error()), "")
	}
	token, err := app.Token(ctx, reconcile.ScopeRead)
	if err != nil {
		return e.trouble(ctx, err, e.wire)
	}
	e.app, e.token = app, token
	return fine("for %s, valid for %v", strings.Join(token.Scopes, ", "), token.Expires.Sub(e.opts.Now()).Round(time.Minute))
}

// clientOptions are those of the clients that reconcile makes.
func (e *examination) clientOptions(wire *recorder) reconcile.ClientOptions {
	return reconcile.ClientOptions{Transport: wire, Now: e.opts.Now, Logger: e.opts.Logger}
}

// dpop reports whether tokens are bound to a key.
func (e *examination) dpop(context.Context) Check {
	switch configured := e.cfg.Aerial.Auth.DPoP; {
	case e.token.Type != auth.DPoP:
		return fine("off: the app doesn't require it")
	case configured:
		return fine("on, as " + config.KeyAerialDPoP + " says")
	default:
		return fine("on, because the app requires it; " + config.KeyAerialDPoP + ": true would save a call at each start")
	}
}

// manageToken asks whether the app may write. A token alone writes nothing.
func (e *examination) manageToken(ctx context.Context) Check {
	_, err := e.app.Token(ctx, reconcile.ScopeManage)
	if err == nil {
		return fine("%s is granted", reconcile.ScopeManage)
	}
	c := e.trouble(ctx, err, e.wire)
	if e.cfg.Mode != config.Apply {
		c.Status = Warning
		c.Message = "diff and a daemon in report mode work, apply doesn't: " + c.Message
	}
	return c
}

// systemLog asks whether the System Log of the Aerial org may be read. Nothing else
// depends on it.
func (e *examination) systemLog(ctx context.Context) Check {
	err := reconcile.OpenLog(&e.cfg.Aerial, e.app, e.clientOptions(e.wire)).Probe(ctx)
	if err == nil {
		return fine("%s is granted: who caused drift can be found out", reconcile.ScopeLogs)
	}
	c := e.trouble(ctx, err, e.wire)
	c.Status = Warning
	c.Message = "who caused drift can't be found out: " + c.Message
	return c
}

func (e *examination) aerialAPI(ctx context.Context) Check {
	_, found := e.reach(ctx, e.cfg.Aerial.URL, config.KeyAerialURL)
	return found
}

// account reads the account, which proves that token and account belong
// together.
func (e *examination) account(ctx context.Context) Check {
	wire := &recorder{base: e.opts.Transport}
	client, err := reconcile.OpenAerial(&e.cfg.Aerial, e.app, e.clientOptions(wire))
	if err != nil {
		return failed(text.JoinLines(err.Error()), "")
	}
	account, err := client.Account(ctx)
	if err != nil {
		return e.trouble(ctx, err, wire)
	}
	e.client = client
	return fine("%q (%s)", account.Name, account.ID)
}

// orgs makes the calls that each run makes for orgs: it lists them, and reads one of
// them and its products.
func (e *examination) orgs(ctx context.Context) Check {
	// A long list must leave time for the other two.
	listing, stop := context.WithTimeout(ctx, e.opts.Timeout/2)
	defer stop()
	var probe state.Org
	n := 0
	wanted := e.managed()
	err := e.client.Orgs(listing, func(page []state.Org) error {
		e.live = append(e.live, page...)
		for _, o := range page {
			if n++; probe.ID == "" || !wanted(probe) && wanted(o) {
				probe = o
			}
		}
		return nil
	})
	words := "the list has " + count(n, "org")
	switch {
	case err != nil && ctx.Err() == nil && listing.Err() != nil && probe.ID != "":
		words = fmt.Sprintf("the list has %s at least, and was not read to its end in %v", count(n, "org"), e.opts.Timeout/2)
	case err != nil:
		return e.trouble(ctx, err, nil)
	}
	if _, err := e.client.Org(ctx, probe.ID); err != nil {
		return e.trouble(ctx, err, nil)
	}
	products, err := e.client.OrgProducts(ctx, probe.ID)
	if err != nil {
		return e.trouble(ctx, err, nil)
	}
	return fine("%s; %s, for one, has %s", words, cmp.Or(probe.Domain, probe.ID), count(len(products), "product"))
}

// managed reports of which live orgs the manifests manage products.
func (e *examination) managed() func(state.Org) bool {
	keys := map[string]bool{} // ids and domains; an id has no dot
	if desired := e.desired.Load(); desired != nil {
		for i := range desired.Orgs {
			if o := &desired.Orgs[i]; o.ManagesProducts() {
				keys[o.Domain], keys[cmp.Or(o.ID, o.Domain)] = true, true
			}
		}
	}
	return func(o state.Org) bool { return keys[o.ID] || keys[o.Domain] }
}

// subscribed reads what the account has bought, and compares it with what the
// manifests want.
func (e *examination) subscribed(ctx context.Context) Check {
	products, err := e.client.Products(ctx)
	if err != nil {
		return e.trouble(ctx, err, nil)
	}
	words := fmt.Sprintf("the account subscribes to %d", len(products))
	desired := e.desired.Load()
	if desired == nil {
		return fine("%s; there are no good manifests to compare them with", words)
	}
	missing := notSubscribed(desired, products)
	if len(missing) == 0 {
		return fine("%s, among them all that the manifests want", words)
	}
	c := failed(words+", and not to "+strings.Join(missing[:min(len(missing), 3)], ", "), "buy them, or take them out of the manifests: until then the orgs that want them are not changed")
	if len(missing) > 3 {
		c.Message += fmt.Sprintf(" and %d more", len(missing)-3)
	}
	c.Details = missing
	return c
}

// notSubscribed names the products that declared orgs want and that the account
// doesn't have, with how many want each.
func notSubscribed(desired *state.Desired, products []state.Product) []string {
	wanted := map[string]int{}
	for i := range desired.Orgs {
		if o := &desired.Orgs[i]; o.ManagesProducts() {
			for _, id := range o.Products {
				wanted[id]++
			}
		}
	}
	for _, bought := range products {
		delete(wanted, bought.ID)
	}
	var all []string
	for id, orgs := range wanted {
		all = append(all, fmt.Sprintf("%s (wanted by %s)", id, count(orgs, "org")))
	}
	slices.Sort(all)
	return all
}
