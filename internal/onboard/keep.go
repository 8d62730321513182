package onboard

import (
	"context"
	"fmt"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/okta/parent"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// patience is how long a token that the sink doesn't take is held in memory
	// and offered again, and hurry how long once the run is to end: whoever
	// stops a process gives it a minute or so.
	patience = 5 * time.Minute
	hurry    = 20 * time.Second
	// storeEvery is the time between two tries.
	storeEvery = 2 * time.Second
)

// keep sees to it that nothing of a creation's answer is lost. The token comes
// first: whatever else is odd about the answer, it is told once.
func (n *creation) keep(ctx context.Context, answer parent.Created) (apply.Created, error) {
	at := time.Now()
	where, lost := "", "Okta created the org, but "+answer.Flaw
	if !answer.Token.IsZero() {
		var err error
		if where, err = n.store(ctx, answer, at); err != nil {
			lost = "the token sink did not take it: " + err.Error()
		} else {
			lost = ""
		}
	}
	mistaken := n.verify(answer)
	id := answer.OrgID
	if mistaken != nil {
		id = "" // by its id it would be linked, whatever its name
	}
	err := n.journal.MarkCreated(n.key, id, at)
	if err == nil {
		err = n.fate(where, lost)
	}
	switch {
	case err != nil && lost == "":
		return apply.Created{}, text.WithHint(
			fmt.Errorf("the org is created and its token is stored (%s), but the journal could not note it: %w", where, err),
			"see to the journal; the next run goes on with this org")
	case err != nil:
		return apply.Created{}, text.WithHint(
			fmt.Errorf("the org is created, its token is lost (%s), and the journal could not note it: %w", lost, err), hintLost(n.key.Domain))
	case mistaken != nil:
		return apply.Created{}, mistaken
	}
	made := apply.Created{OrgID: answer.OrgID}
	if lost != "" {
		made.Note = noteLost(n.key.Domain, lost)
	} else {
		n.log.Info("org created, token stored", "org", n.key.Domain, "orgID", answer.OrgID, "token", where)
	}
	return made, nil
}

// fate writes down what became of the token: where it is, or why it is lost.
func (n *creation) fate(where, lost string) error {
	if lost == "" {
		return n.journal.MarkTokenStored(n.key, where)
	}
	return n.lost(n.key, lost)
}

// store puts the token into the sink. It was tried moments ago, so what fails
// now may soon work again, and until then the token is in memory and nowhere
// else.
func (n *creation) store(ctx context.Context, answer parent.Created, at time.Time) (where string, err error) {
	meta := tokens.Meta{Domain: n.key.Domain, OrgID: answer.OrgID, Parent: n.parent.name, CreatedAt: at}
	keeping := context.WithoutCancel(ctx)
	for hurried := time.Duration(0); ; {
		where, err = n.sink.Store(meta, answer.Token)
		if err == nil || time.Now().Sub(at) >= patience || hurried >= hurry {
			return where, err
		}
		n.log.Error("the token sink doesn't take the token of a new org; it is in memory only, and offered again",
			"org", n.key.Domain, "error", err, "hint", text.Hint(err))
		if ctx.Err() != nil {
			hurried += storeEvery
		}
		if err := web.Sleep(keeping, storeEvery); err != nil {
			return "", err // keeping doesn't end, so this is a sleep that can't sleep
		}
	}
}

// verify compares what Okta made with what was asked for. The token is safe by
// now; what remains is not to link an org that nobody declared.
func (n *creation) verify(answer parent.Created) error {
	switch {
	case answer.Domain != "" && answer.Domain != n.key.Domain:
		return text.WithHint(
			fmt.Errorf("the org was made as %q, which is not what is declared", text.Clean(answer.Domain)),
			"the org is there and its token is kept; declare it under the name that Okta gave it")
	case answer.Subdomain != "" && answer.Subdomain != n.subdomain():
		return text.WithHint(
			fmt.Errorf("the org was made with the subdomain %q, which is not what is declared", text.Clean(answer.Subdomain)),
			"the org is there and its token is kept; declare it under the name that Okta gave it")
	}
	return nil
}
