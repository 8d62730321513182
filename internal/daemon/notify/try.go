package notify

import (
	"context"
	"sync"
	"time"
)

// Test sends a message of a type to each receiver, marked as a test, at once and beside
// the queue. It returns for each why it was not delivered; nil if it was.
func Test(ctx context.Context, receivers []*Receiver, account string, t Type, opts Options) []error {
	client := newClient(opts.Transport)
	results := make([]error, len(receivers))
	var sending sync.WaitGroup
	for i, r := range receivers {
		sending.Go(func() {
			if err := r.send(ctx, client, Sample(account, time.Now(), t)); err != nil {
				results[i] = err
			}
		})
	}
	sending.Wait()
	return results
}
