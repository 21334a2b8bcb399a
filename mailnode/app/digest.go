package app

import (
	"io"

	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// digest is what the store keeps of a message beside it.
func digest(body *io.SectionReader) (store.Digest, error) {
	d, err := message.Parse(body)
	if err != nil {
		return store.Digest{}, err
	}
	return store.Digest{Data: d.Encode(), Thread: append([]string{d.Keys.MessageID}, d.Keys.References...)}, nil
}

// mailboxes are those a new account has beside its inbox, with their special use
// (RFC 6154).
var mailboxes = map[string]string{
	"Archive": `\Archive`, "Drafts": `\Drafts`, "Junk": `\Junk`, "Sent": `\Sent`, "Trash": `\Trash`,
}
