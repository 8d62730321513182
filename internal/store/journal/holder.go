package journal

import (
	"encoding/json"
	"io"

	"reconciler/internal/store/securedir"
)

// LastHolder gives the process that was the last to take the journal in dir, and
// false when that can't be told. It may have ended since. Nothing is locked: to
// look whether a lock is free is to take it, and in that moment a daemon that
// starts would find it held.
func LastHolder(dir string) (Holder, bool) {
	root, err := securedir.Existing(dir)
	if err != nil {
		return Holder{}, false
	}
	defer root.Close()
	f, err := root.Open(lockFile)
	if err != nil {
		return Holder{}, false
	}
	defer f.Close()
	return readHolder(f)
}

// readHolder reads what sign wrote.
func readHolder(f io.Reader) (Holder, bool) {
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	var h Holder
	if err != nil || json.Unmarshal(text, &h) != nil || h.PID == 0 {
		return Holder{}, false
	}
	h.Host = clean(h.Host)
	return h, true
}
