package gate

import "time"

// Wake makes the reads of a session that waits for a command fail now, with
// os.ErrDeadlineExceeded, until it calls Await again. A session that does not wait
// finds whatever it is woken for before it does.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting {
		_ = c.SetReadDeadline(time.Now()) // fails only on a closed connection
	}
}
