package webhook

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxBody is enough for a push of thousands of commits. GitHub sends up to
	// 25 MB and cuts the list of commits off at 2048; only the ref is read.
	maxBody = 5 << 20
	// maxRoom limits the bytes of all bodies in memory at one time. A request
	// takes room as its body is read, from firstRoom on, and returns it after
	// the server's ReadTimeout at the latest. With a limit on the number of
	// bodies, or a queue, a few slow senders could block all others.
	maxRoom   = 16 * maxBody
	firstRoom = 4 << 10
)

// The results that Observe is called with.
const (
	Accepted = "accepted" // git will be read
	Ignored  = "ignored"  // authenticated, but not a push to the ref
	Refused  = "refused"  // not authenticated, or unreadable
)

// Options configures the endpoint. Secret and Wake are required.
type Options struct {
	// Secret returns the secret shared with the git server, without a newline. It
	// is called for each request, concurrently, so that a new secret takes effect
	// at once. While it fails, nothing is accepted.
	Secret func() ([]byte, error)
	// Ref is the full name of the followed ref: refs/heads/main, or refs/tags/v1.
	// When it is empty, every announcement is ignored.
	Ref string
	// Wake causes git to be read, and must return soon. It is called for each
	// accepted request, concurrently; see Notifier.Notify. After an error the request
	// is not accepted, so that its sender may send it again.
	Wake func() error
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger logs the refused senders, each reason at most once a minute; it may
	// be nil. The response doesn't contain the reason.
	Logger *slog.Logger
	// Observe is called with the result of each request; it may be nil.
	Observe func(result string)
}

// New returns the handler of POST /hooks/git. Its server must have a ReadTimeout.
//
// It responds with 202 when git will be read and when there is nothing to do, 200
// to a ping, 403 when the request can't be authenticated, 400, 413 and 415 when
// it can't be read, 405 when it is no POST, 429 while all senders together send
// too much, 500 when Wake fails, and 503 while there is no valid secret.
func New(opts Options) http.Handler {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(string) {}
	}
	h := &handler{
		Options: opts,
		quiet:   quiet{last: map[string]time.Time{}, left: map[string]int{}},
	}
	h.room.Store(maxRoom)
	return h
}

type handler struct {
	Options
	room  atomic.Int64 // what is left of maxRoom
	quiet quiet
}

// answer is the response to a request, and what is logged of it.
type answer struct {
	status int
	result string
	text   string // for the sender
	reason string // for the log; empty when nothing is logged
}

// refuse returns an answer that is the same for each reason but in the log.
func refuse(why refusal) answer {
	return answer{http.StatusForbidden, Refused, "refused", string(why)}
}

var (
	accepted = answer{http.StatusAccepted, Accepted, "looking at git", ""}
	ignored  = answer{http.StatusAccepted, Ignored, "nothing to do: this is not what is followed here", ""}
	pong     = answer{http.StatusOK, Ignored, "pong", ""}
	tooLarge = answer{http.StatusRequestEntityTooLarge, Refused, "too large", "its body is larger than 5 MiB"}
	busy     = answer{http.StatusTooManyRequests, Refused, "busy", "too much is being sent at the same time"}
	cutShort = answer{http.StatusBadRequest, Refused, "the body can't be read", "its body was cut off, or took too long"}
	noJSON   = answer{http.StatusBadRequest, Refused, "the body can't be read", "its body is no JSON of a push"}
	noForm   = answer{http.StatusBadRequest, Refused, "the body can't be read", "its body is no form with one payload"}
	badType  = answer{http.StatusUnsupportedMediaType, Refused, "the content type must be application/json or application/x-www-form-urlencoded",
		"its content type is neither application/json nor application/x-www-form-urlencoded"}
)

// ServeHTTP answers a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.answer(w, r)
	h.Observe(a.result)
	switch {
	case a.status == http.StatusServiceUnavailable:
		h.note(slog.LevelError, "the webhook has no secret", a.reason, r)
	case a.reason != "":
		h.note(slog.LevelWarn, "refused a request to the webhook", a.reason, r)
	default:
		h.Logger.Debug("request to the webhook", "result", a.result)
	}
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.text+"\n")
}

// answer returns the answer to a request; the cheapest checks come first.
func (h *handler) answer(w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return answer{http.StatusMethodNotAllowed, Refused, "only POST", ""}
	}
	s, err := h.secret()
	if err != nil {
		return answer{http.StatusServiceUnavailable, Refused, "not ready", err.Error()}
	}
	p, problem := readProofs(r.Header)
	if problem == "" {
		problem = p.early(s, h.Now())
	}
	if problem != "" {
		return refuse(problem)
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form := mediaType == "application/x-www-form-urlencoded"
	if !form && mediaType != "application/json" {
		return badType
	}
	body, taken, bad := h.read(w, r)
	defer h.room.Add(int64(taken))
	if bad != nil {
		return *bad
	}
	return h.answerBody(r.Header, s, &p, body, form)
}

func (h *handler) secret() (secret, error) {
	text, err := h.Secret()
	if err != nil {
		return secret{}, err
	}
	return parseSecret(text)
}

// read returns the body, or the answer to one that can't be read, and how much
// room it takes, which the caller must release.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (body []byte, taken int, bad *answer) {
	if r.ContentLength > maxBody {
		return nil, 0, &tooLarge
	}
	src := http.MaxBytesReader(w, r.Body, maxBody)
	for {
		if len(body) == cap(body) {
			size := min(max(firstRoom, 2*taken), maxBody+1)
			if !h.take(size - taken) {
				return nil, taken, &busy
			}
			taken = size
			body = append(make([]byte, 0, size), body...)
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var large *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, taken, nil
		case errors.As(err, &large):
			return nil, taken, &tooLarge
		case err != nil:
			return nil, taken, &cutShort
		}
	}
}

// take takes n bytes of the room, if they are left.
func (h *handler) take(n int) bool {
	if h.room.Add(-int64(n)) >= 0 {
		return true
	}
	h.room.Add(int64(n))
	return false
}

// answerBody returns the answer to a request whose body was read.
func (h *handler) answerBody(head http.Header, s secret, p *proofs, body []byte, form bool) answer {
	payload, ok := body, true
	if form {
		payload, ok = formPayload(body)
	}
	signed := body
	if form && ok && signsPayload(head) {
		signed = payload
	}
	if problem := p.late(s, body, signed); problem != "" {
		return refuse(problem)
	}
	if !ok {
		return noForm
	}
	k := kindOf(head)
	switch k {
	case ping:
		return pong
	case other:
		return ignored
	}
	moved, ok := moves(k, payload, h.Ref)
	switch {
	case !ok:
		return noJSON
	case !moved:
		return ignored
	}
	if err := h.Wake(); err != nil {
		return answer{http.StatusInternalServerError, Refused, "it could not be passed on: send it again", err.Error()}
	}
	return accepted
}

// signsPayload reports whether the sender of a form signs the payload in it, as
// Gitea and Forgejo do, and not the form itself, as GitHub does:
// https://github.com/go-gitea/gitea/blob/main/services/webhook/deliver.go
func signsPayload(h http.Header) bool {
	return h.Get("X-Gitea-Signature") != "" || h.Get("X-Forgejo-Signature") != ""
}

// note logs a refusal, unless the same was logged within quietFor.
func (h *handler) note(level slog.Level, msg, reason string, r *http.Request) {
	left, ok := h.quiet.allow(reason, h.Now())
	if !ok {
		return
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	h.Logger.Log(r.Context(), level, msg, "reason", reason, "from", from, "unlogged", left)
}
