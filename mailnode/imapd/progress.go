package imapd

import (
	"time"
)

// progressPause is how often a command that takes long says how far it is.
const progressPause = 10 * time.Second

// progress tells how far a command is (RFC 9585).
type progress struct {
	s     *session
	tag   string
	total int
	last  time.Time
}

func newProgress(s *session, c *call, total int) *progress {
	return &progress{s: s, tag: c.tag, total: total, last: time.Now()}
}

// tell says that n of all are done, when it is time to say something.
func (p *progress) tell(n int) {
	if time.Since(p.last) < progressPause {
		return
	}
	p.last = time.Now()
	p.s.w.Raw("* OK [INPROGRESS (").String(p.tag).Space().Num(uint64(n)).Space().Num(uint64(p.total)).Raw(")] still at work\r\n")
	_ = p.s.w.Flush() // the next one fails too
}
