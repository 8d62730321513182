package program

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/text"
)

// failureKept is how long a program that has failed is not run again: as many as ask at
// once get the same error, and a program that fails for each of many orgs isn't started
// for each of them.
const failureKept = 5 * time.Second

// Cache runs programs that print a secret, and keeps what they printed for a while, in
// memory alone. Its methods may be called from many goroutines; of those that ask for
// the same at the same time, one runs the program.
type Cache struct {
	// Environ and Timeout are those of each program. They are set before the first use.
	Environ []string
	Timeout time.Duration
	// Keep is how long what a program printed is used; 0 for once, though those who
	// waited for it share it.
	Keep time.Duration

	mu      sync.Mutex
	entries map[string]*kept // by the words of the command
}

// kept is what a program printed last.
type kept struct {
	busy chan struct{} // holds one while a goroutine uses what follows
	data []byte
	err  error
	runs int // how often the program has ended
	at   time.Time
}

// Program returns the program that a command is, as the cache runs it.
func (c *Cache) Program(argv []string) *Program {
	return &Program{Argv: argv, Environ: c.Environ, Timeout: c.Timeout}
}

// Read returns what a program prints, or has printed a short while ago. Errors have no
// secret; one about the program is an *Error.
func (c *Cache) Read(ctx context.Context, argv []string) ([]byte, error) {
	k := c.entry(argv)
	c.mu.Lock()
	before := k.runs
	c.mu.Unlock()
	select {
	case k.busy <- struct{}{}:
		defer func() { <-k.busy }()
	case <-ctx.Done():
		return nil, &Error{Interrupted: true, msg: "interrupted", cause: context.Cause(ctx)}
	}
	c.mu.Lock()
	age, shared := time.Since(k.at), k.runs > before
	usable := k.runs > 0 && (shared || k.err == nil && age < c.Keep || k.err != nil && age < failureKept)
	data, err := k.data, k.err
	c.mu.Unlock()
	if usable {
		return slices.Clone(data), err
	}
	data, err = c.run(ctx, argv)
	if ctx.Err() != nil && err != nil {
		return nil, err // which says nothing to the others
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.data, k.err, k.at = data, err, time.Now()
	k.runs++
	return slices.Clone(data), err
}

// Refused is for a secret that a server has refused: it may have been replaced, and the
// next Read runs the program again. One that is younger than a few seconds is kept all
// the same, so that a server that takes none doesn't have a program started each time.
func (c *Cache) Refused(argv []string) {
	k := c.entry(argv)
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.err == nil && time.Since(k.at) >= failureKept {
		k.at = time.Time{}
	}
}

func (c *Cache) entry(argv []string) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(argv, "\x00")
	k := c.entries[key]
	if k == nil {
		k = &kept{busy: make(chan struct{}, 1)}
		if c.entries == nil {
			c.entries = map[string]*kept{}
		}
		c.entries[key] = k
	}
	return k
}

// run runs a program that prints a secret.
func (c *Cache) run(ctx context.Context, argv []string) ([]byte, error) {
	p := c.Program(argv)
	if err := p.Check(); err != nil {
		return nil, err
	}
	out, err := p.Run(ctx, Call{})
	switch {
	case err != nil:
		return nil, err
	case out.Cut:
		return nil, text.WithHint(fmt.Errorf("it printed more than %d KB", MaxOutput>>10), "the program must print the secret and nothing else")
	}
	return out.Data, nil
}
