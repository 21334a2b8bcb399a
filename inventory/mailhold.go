package inventory

import "time"

// MailHold tells that an account's mail is held, because it sends far more than it is
// used to, until somebody lets it go.
type MailHold struct {
	Account ID        `json:"account"`
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
	Sent    int       `json:"sent"`  // recipients written to in the burst, of held mail too
	Over    Duration  `json:"over"`  // from the burst's first message to its last
	Usual   int       `json:"usual"` // recipients in an hour in which it sends at all

	Messages   int   `json:"messages"` // that are held in the queue
	Recipients int   `json:"recipients"`
	Bytes      int64 `json:"bytes"`
}
