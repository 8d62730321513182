package onboard

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/okta/parent"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
)

const (
	// storeTimeout is for how long storing a token is retried, and StopTimeout for
	// how long once the run is to stop: the process may be killed soon.
	storeTimeout = 5 * time.Minute
	StopTimeout  = 20 * time.Second
	// storeEvery is the time between two attempts.
	storeEvery = 2 * time.Second
)

// record stores the token of a new org, and records the org in the journal. The
// token comes first, whatever else is wrong with the answer: Okta shows it once.
func (n *creation) record(ctx context.Context, answer parent.Created) (apply.Created, error) {
	at := time.Now()
	where, lost := "", "Okta created the org, but "+answer.Flaw
	if !answer.Token.IsZero() {
		var err error
		if where, err = n.store(ctx, answer, at); err != nil {
			lost = "the token sink did not take it: " + err.Error()
		} else {
			lost = ""
			n.keepToken(n.key.Domain, answer.Token)
		}
	}
	wrongName := n.checkName(answer)
	id := answer.OrgID
	if wrongName != nil {
		id = "" // by its id it would be linked, whatever its name
	}
	err := n.journal.MarkCreated(n.key, id, at)
	if err == nil {
		err = n.markToken(where, lost)
	}
	switch {
	case err != nil && lost == "":
		return apply.Created{}, text.WithHint(
			fmt.Errorf("the org is created and its token is stored (%s), but the journal could not note it: %w", where, err),
			"fix the journal; the next run continues with this org")
	case err != nil:
		return apply.Created{}, text.WithHint(
			fmt.Errorf("the org is created, its token is lost (%s), and the journal could not note it: %w", lost, err), hintLost(n.key.Domain))
	case wrongName != nil:
		return apply.Created{}, wrongName
	}
	created := apply.Created{OrgID: answer.OrgID}
	if lost != "" {
		created.Note = noteLost(n.key.Domain, lost)
	} else {
		n.log.Info("org created, token stored", "org", n.key.Domain, "orgID", answer.OrgID, "token", where)
	}
	return created, nil
}

// markToken records where the token is, or why it is lost.
func (n *creation) markToken(where, lost string) error {
	if lost == "" {
		return n.journal.MarkTokenStored(n.key, where)
	}
	return n.markLost(n.key, lost)
}

// store puts the token into the sink. The sink worked a moment ago, so a failure
// may pass; until then the token exists in memory only.
func (n *creation) store(ctx context.Context, answer parent.Created, at time.Time) (where string, err error) {
	meta := tokens.Meta{Domain: n.key.Domain, OrgID: answer.OrgID, Parent: n.parent.name, CreatedAt: at}
	var stopped atomic.Pointer[time.Time] // when the run was to stop
	defer context.AfterFunc(ctx, func() {
		now := time.Now()
		stopped.Store(&now)
	})()
	for {
		where, err = n.sink.Store(meta, answer.Token)
		stop := stopped.Load()
		if err == nil || time.Since(at) >= storeTimeout || stop != nil && time.Since(*stop) >= StopTimeout {
			return where, err
		}
		n.log.Error("the token sink doesn't take the token of a new org; it is in memory only, and offered again",
			"org", n.key.Domain, "error", err, "hint", text.Hint(err))
		time.Sleep(storeEvery) // also when ctx has ended
	}
}

// checkName returns an error if the new org has another name than the declared
// one, because an org that is not declared must not be linked.
func (n *creation) checkName(answer parent.Created) error {
	switch {
	case answer.Domain != "" && answer.Domain != n.key.Domain:
		return text.WithHint(
			fmt.Errorf("the org was made as %q, which is not what is declared", text.Clean(answer.Domain)),
			"the org exists and its token is stored; declare it under the name that Okta gave it")
	case answer.Subdomain != "" && answer.Subdomain != n.subdomain():
		return text.WithHint(
			fmt.Errorf("the org was made with the subdomain %q, which is not what is declared", text.Clean(answer.Subdomain)),
			"the org exists and its token is stored; declare it under the name that Okta gave it")
	}
	return nil
}
