package ui

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

var scriptRE = regexp.MustCompile(`<script[^>]*>`)

// The page must run under a policy without inline scripts, and give its nonce
// to what writes styles.
func TestConsolePageKeepsToThePolicy(t *testing.T) {
	b, err := fs.ReadFile(Console(), "index.html")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the console is not built: run npm run build in ui")
	}
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if !strings.Contains(page, `<meta name="csp-nonce" content="__CSP_NONCE__"`) {
		t.Error("index.html has no place for the nonce")
	}
	for _, tag := range scriptRE.FindAllString(page, -1) {
		if !strings.Contains(tag, `src="/assets/`) {
			t.Errorf("inline or foreign script: %s", tag)
		}
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "<style") {
		t.Error("index.html has inline styles")
	}
}
