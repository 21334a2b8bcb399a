package inventory

import (
	"fmt"
	"regexp"
	"strings"
)

// The programs of the fleet itself that have releases; a release of another
// name is of a site's own program.
const (
	ProgramAgent    = "mailfleet-agent"
	ProgramMailnode = "mailfleet-mailnode"
)

// MaxRelease is the most octets a release may have.
const MaxRelease = 512 << 20

var (
	versionRE  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,99}$`)
	platformRE = regexp.MustCompile(`^[a-z0-9]{1,20}/[a-z0-9]{1,20}$`)
	sha256RE   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Release is a program's build that the controller can hand to agents.
type Release struct {
	Meta
	Program   string `json:"program"`  // mailfleet-agent, mailfleet-mailnode, or the name of a site's own service
	Number    string `json:"number"`   // its version, as the program prints it
	Platform  string `json:"platform"` // linux/amd64
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`    // hexadecimal
	Signature []byte `json:"signature"` // ed25519, over ReleaseText
	Key       string `json:"key"`       // of the signer: base64 of the public key
	Actor     string `json:"actor"`
}

// ReleaseText is what a release's signature covers: who it is and what it holds.
func (r *Release) ReleaseText() []byte {
	return fmt.Appendf(nil, "mailfleet release 1\n%s\n%s\n%s\n%d\n%s\n", r.Program, r.Number, r.Platform, r.Size, r.SHA256)
}

// Check says what is wrong with what a release says of itself: an Invalid error
// that names the field. Whether its signature holds is for those who know the keys.
func (r *Release) Check() error {
	if err := CheckName("program", r.Program); err != nil {
		return err
	}
	switch {
	case !versionRE.MatchString(r.Number):
		return FieldErrorf("number", "the version %q must be up to 100 letters, digits and . + ~ _ -", r.Number)
	case !platformRE.MatchString(r.Platform):
		return FieldErrorf("platform", "the platform %q must look like linux/amd64", r.Platform)
	case r.Size < 1 || r.Size > MaxRelease:
		return FieldErrorf("size", "a release has between 1 and %d octets, not %d", MaxRelease, r.Size)
	case !sha256RE.MatchString(r.SHA256):
		return FieldErrorf("sha256", "sha256 must be 64 hexadecimal digits in lower case")
	default:
		return nil
	}
}

// Title names the release in a sentence.
func (r *Release) Title() string { return r.Program + " " + r.Number + " for " + r.Platform }

// ReleaseKeys is a list of the public keys whose releases are to be trusted.
// Lists come in a row: each but the first is believed by whoever believes the
// one before, because a key of that signed it.
type ReleaseKeys struct {
	Serial    uint64   `json:"serial"` // 1, 2, 3 …
	Keys      []string `json:"keys"`   // base64 of ed25519 public keys
	By        string   `json:"by"`     // key that signed this list
	Signature []byte   `json:"signature"`
}

// KeysText is what the signature of a list of keys covers.
func (k *ReleaseKeys) KeysText() []byte {
	return fmt.Appendf(nil, "mailfleet release keys 1\n%d\n%s\n", k.Serial, strings.Join(k.Keys, "\n"))
}
