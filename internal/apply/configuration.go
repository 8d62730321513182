package apply

import (
	"context"
	"errors"
	"fmt"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/text"
)

// Configurer opens the configuration of orgs for writing. Its method is called
// concurrently, for one org once in a run.
type Configurer interface {
	// Open prepares to write to the org; all are the changes of the run. An error means
	// that nothing can be written to it.
	Open(ctx context.Context, target objects.Target, all []objects.Difference) (Editor, error)
}

// Editor writes the objects of one org, one after the other.
type Editor interface {
	// Write makes one change. Right before each send it reads the object again, holds
	// it against d, and then asks maySend, whose error forbids the send and is in the
	// chain of its own. An error wraps objects.ErrAlready if nothing was left to do,
	// and is an *objects.MovedError if somebody changed the object after d was
	// computed. The note is what the user should know of a change that was made.
	Write(ctx context.Context, d *objects.Difference, maySend func(context.Context) error) (note string, err error)
}

// configuration is the configuration of the org of one worker.
type configuration struct {
	configurer Configurer // or nil
	target     objects.Target
	all        []objects.Difference

	editor Editor // nil until the first change
	err    error  // why there is none
}

// newConfiguration returns what is needed to write the objects among the changes of
// an org; nil if there are none.
func newConfiguration(c Configurer, changes []diff.Change) *configuration {
	conf := &configuration{configurer: c}
	for i := range changes {
		change := &changes[i]
		if change.Kind == "" || change.Blocked != "" {
			continue
		}
		if d, ok := change.Difference(); ok {
			conf.all = append(conf.all, d)
			conf.target = objects.Target{Domain: change.Org, OrgID: change.OrgID, ClientID: change.ClientID}
		}
	}
	if conf.all == nil {
		return nil
	}
	return conf
}

// open returns the editor, and opens it the first time.
func (c *configuration) open(ctx context.Context) (Editor, error) {
	switch {
	case c.editor != nil || c.err != nil:
	case c.configurer == nil:
		c.err = errors.New("no way to write the configuration of orgs is set up")
	default:
		c.editor, c.err = c.configurer.Open(ctx, c.target, c.all)
	}
	return c.editor, c.err
}

// writeObject makes a change of an object.
func (w *worker) writeObject(ctx context.Context, c diff.Change) (string, error) {
	d, ok := c.Difference()
	if !ok || w.configuration == nil {
		return "", fmt.Errorf("the plan names an object that this version does not know: %q of the kind %q", c.Object, c.Kind)
	}
	editor, err := w.configuration.open(ctx)
	if err != nil {
		return "", err
	}
	g := w.gate(c, nil) // the editor looks
	if err := g.reserve(); err != nil {
		return "", err
	}
	note, err := editor.Write(ctx, &d, g.maySend)
	err = g.outcome(err)
	var moved *objects.MovedError
	switch {
	case errors.Is(err, objects.ErrAlready) && !uncertain(err):
		return noteAlready, nil
	case errors.As(err, &moved) && !uncertain(err):
		return "", text.WithHint(fmt.Errorf("left alone: %w", err), "somebody changed it after the plan was made; run again for a new plan")
	}
	return note, err
}

// name returns what messages call a change of an org.
func name(c *diff.Change) string {
	if c.Kind == "" {
		return string(c.Action)
	}
	return fmt.Sprintf("%s of %s %s", c.Action, c.Kind, text.Visible(c.Object))
}
