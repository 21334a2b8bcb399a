package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// retryAfter is what a writer is told to wait while the store cannot write.
const retryAfter = 10 * time.Second

// namedLines is how many bad lines an answer spells out.
const namedLines = 5

// WriteOptions is what WriteHandler needs; every field but OnWrite is required.
type WriteOptions struct {
	Store Store
	// Server decides who writes. ok is false for a stranger. With a server, the
	// samples are that server's whatever their server tag says, so an agent can
	// write only its own. Without one (a trusted writer, such as a script's
	// token) each line must name its server in the server tag, since samples
	// are looked up by it.
	Server func(*http.Request) (server string, ok bool)
	// OnWrite is called, if set, after samples of a server were stored. It must
	// not block.
	OnWrite func(server string, samples []Sample)
	Logger  *slog.Logger
}

// WriteHandler serves POST /api/v2/write of the InfluxDB v2 API for its clients
// (influxdb-client-go, Telegraf…). org and bucket are accepted and ignored;
// precision is ns, us, ms or s; the body may be gzipped, and is at most 10 MiB
// once unpacked.
//
// The answer is 204 when all is stored. It is 400 with {code, message, line} if
// lines were refused, naming the first, while all others are stored: so a
// client should not send the body again. Text fields are left out without
// complaint, as Telegraf sends some by default. 503 with Retry-After means that
// nothing is certain to be stored, and that the body is to be sent again.
func WriteHandler(options WriteOptions) http.Handler {
	return &writeHandler{options}
}

type writeHandler struct{ WriteOptions }

func (h *writeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "method not allowed", "only POST writes samples")
		return
	}
	server, ok := h.Server(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "unauthorized", "unauthorized access")
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		h.refuseBody(w, err)
		return
	}
	batch, err := ParseLineProtocol(body, r.URL.Query().Get("precision"), time.Now())
	if err != nil {
		h.refuseBody(w, err)
		return
	}
	batch.assign(server)
	if err := h.keep(r, &batch); err != nil {
		h.refuseStore(w, server, err)
		return
	}
	if len(batch.Skipped) > 0 {
		h.Logger.Debug("text fields left out", "server", server, "fields", len(batch.Skipped), "line", batch.Skipped[0].Line)
	}
	if len(batch.Bad) > 0 {
		writeProblem(w, http.StatusBadRequest, problem{Code: "invalid", Message: batch.complaint(), Line: batch.Bad[0].Line})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// keep writes the batch's samples and tells the hook; what the store refuses
// moves from Samples to Bad.
func (h *writeHandler) keep(r *http.Request, batch *Batch) error {
	err := h.Store.Write(r.Context(), batch.Samples)
	if rejected, ok := errors.AsType[*RejectedError](err); ok {
		batch.reject(rejected.Rejections)
	} else if err != nil {
		return err
	}
	if h.OnWrite == nil {
		return nil
	}
	byServer := make(map[string][]Sample)
	for _, sample := range batch.Samples {
		server := sample.Tags[ServerTag]
		byServer[server] = append(byServer[server], sample)
	}
	for server, samples := range byServer {
		h.OnWrite(server, samples)
	}
	return nil
}

// assign gives every sample to server; if that is empty, it refuses the lines
// that name none.
func (b *Batch) assign(server string) {
	if server != "" {
		for i := range b.Samples {
			b.Samples[i].Tags[ServerTag] = server
		}
		return
	}
	var nameless []Rejection
	for i, sample := range b.Samples {
		if sample.Tags[ServerTag] == "" {
			nameless = append(nameless, Rejection{i, "it has no tag server"})
		}
	}
	b.reject(nameless)
}

// reject takes samples out of the batch and names their lines as bad.
func (b *Batch) reject(rejections []Rejection) {
	if len(rejections) == 0 {
		return
	}
	samples, lines := b.Samples[:0], b.Lines[:0]
	for i, sample := range b.Samples {
		if len(rejections) == 0 || rejections[0].Index != i {
			samples, lines = append(samples, sample), append(lines, b.Lines[i])
			continue
		}
		bad := LineError{b.Lines[i], rejections[0].Reason}
		if len(b.Bad) == 0 || b.Bad[len(b.Bad)-1] != bad { // once for all fields of a line
			b.Bad = append(b.Bad, bad)
		}
		rejections = rejections[1:]
	}
	b.Samples, b.Lines = samples, lines
	slices.SortStableFunc(b.Bad, func(x, y LineError) int { return x.Line - y.Line })
}

// complaint names the bad lines, and says what became of the others.
func (b *Batch) complaint() string {
	var text strings.Builder
	for _, bad := range b.Bad[:min(len(b.Bad), namedLines)] {
		fmt.Fprintf(&text, "line %d: %s; ", bad.Line, bad.Reason)
	}
	if more := len(b.Bad) - namedLines; more > 0 {
		fmt.Fprintf(&text, "%d more; ", more)
	}
	fmt.Fprintf(&text, "the other %d samples were stored", len(b.Samples))
	return text.String()
}

// problem is InfluxDB's error body.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`
}

func (h *writeHandler) refuseBody(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "request too large", err.Error())
	case errors.Is(err, errEncoding):
		refuse(w, http.StatusUnsupportedMediaType, "unsupported media type", err.Error())
	default:
		refuse(w, http.StatusBadRequest, "invalid", err.Error())
	}
}

func (h *writeHandler) refuseStore(w http.ResponseWriter, server string, err error) {
	h.Logger.Error("samples not stored", "server", server, "err", err)
	if errors.Is(err, ErrUnavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		refuse(w, http.StatusServiceUnavailable, "unavailable", ErrUnavailable.Error()+", send the samples again later")
		return
	}
	refuse(w, http.StatusInternalServerError, "internal error", "the samples could not be stored")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	writeProblem(w, status, problem{Code: code, Message: message})
}

func writeProblem(w http.ResponseWriter, status int, p problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number always encode
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Platform-Error-Code", p.Code)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
}
