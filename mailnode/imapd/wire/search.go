package wire

import (
	"strings"
	"time"
)

// Op is what a search key compares.
type Op byte

// The search keys (RFC 9051 §6.4.4; RFC 5032, RFC 7162, RFC 8474, RFC 8514). Those
// that are others in other words have none of their own: NEW is AND of two.
const (
	OpAll         Op = iota
	OpAnd            // Keys
	OpOr             // Keys, two
	OpNot            // Keys, one
	OpSeq            // Set
	OpUID            // Set
	OpFlag           // Text
	OpHeader         // Name, Text
	OpBody           // Text
	OpText           // Text
	OpBefore         // internal date: Time
	OpOn             // Time
	OpSince          // Time
	OpSentBefore     // Date field: Time
	OpSentOn         // Time
	OpSentSince      // Time
	OpSavedBefore    // save date: Time
	OpSavedOn        // Time
	OpSavedSince     // Time
	OpLarger         // N
	OpSmaller        // N
	OpOlder          // N, seconds
	OpYounger        // N, seconds
	OpModSeq         // N
	OpEmailID        // Text
	OpThreadID       // Text
)

// Key is a search key.
type Key struct {
	Op   Op
	Keys []*Key
	Set  Set
	Name string // of a header field
	Text string
	Time time.Time // a day
	N    uint64
}

// Return is what a search is to answer (RFC 4731, RFC 5182, RFC 9394).
type Return struct {
	Given                      bool // RETURN was there: the answer is an ESEARCH
	Min, Max, All, Count, Save bool
	Partial                    *Partial
}

// Search is a SEARCH, SORT or THREAD.
type Search struct {
	Return  Return
	Charset string // in upper case; "" when none is named
	Key     *Key
	ModSeq  bool // a MODSEQ key is there: the answer tells the highest mod-sequence
}

const (
	maxSearchDepth = 64
	maxSearchKeys  = 4096
)

// Search reads what SEARCH takes.
func (r *Reader) Search() (*Search, error) {
	s := &Search{}
	word, err := r.searchReturn(s)
	if err != nil {
		return nil, err
	}
	if word == "CHARSET" {
		if s.Charset, err = r.charset(); err != nil {
			return nil, err
		}
		word = ""
	}
	p := &searchParser{r: r, s: s}
	s.Key, err = p.program(word)
	return s, err
}

// searchReturn reads RETURN and returns the word that follows, "" when it is no word.
func (r *Reader) searchReturn(s *Search) (string, error) {
	word, err := r.keyWord()
	if err != nil || word != "RETURN" {
		return word, err
	}
	if err := r.Space(); err != nil {
		return "", err
	}
	if s.Return, err = r.ReturnOptions(); err != nil {
		return "", err
	}
	if err := r.Space(); err != nil {
		return "", err
	}
	return r.keyWord()
}

func (r *Reader) charset() (string, error) {
	if err := r.Space(); err != nil {
		return "", err
	}
	name, err := r.AString()
	if err != nil {
		return "", err
	}
	return strings.ToUpper(name), r.Space()
}

// ReturnOptions reads the list behind RETURN.
func (r *Reader) ReturnOptions() (Return, error) {
	ret := Return{Given: true}
	err := r.List(func() error {
		word, err := r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "MIN":
			ret.Min = true
		case "MAX":
			ret.Max = true
		case "ALL":
			ret.All = true
		case "COUNT":
			ret.Count = true
		case "SAVE":
			ret.Save = true
		case "PARTIAL":
			if err := r.Space(); err != nil {
				return err
			}
			ret.Partial, err = r.Partial()
			return err
		default:
			return Bad("there is no search return option %s", shorten(word))
		}
		return nil
	})
	if ret.All && ret.Partial != nil {
		return ret, Bad("ALL and PARTIAL exclude each other")
	}
	if !ret.Min && !ret.Max && !ret.Count && !ret.Save && ret.Partial == nil {
		ret.All = true
	}
	return ret, err
}

// keyWord reads the word a search key begins with, "" when it begins otherwise:
// with a list or a set.
func (r *Reader) keyWord() (string, error) {
	c, err := r.peek()
	if err != nil {
		return "", err
	}
	if c == '(' || c == '*' || c == '$' || c >= '0' && c <= '9' {
		return "", nil
	}
	return r.Word()
}

type searchParser struct {
	r     *Reader
	s     *Search
	depth int
	keys  int
}

// program reads keys up to the end of the command or of a list. word is the
// first key's word when it has been read already.
func (p *searchParser) program(word string) (*Key, error) {
	and := &Key{Op: OpAnd}
	for {
		if word == "" {
			var err error
			if word, err = p.r.keyWord(); err != nil {
				return nil, err
			}
		}
		k, err := p.key(word)
		if err != nil {
			return nil, err
		}
		and.Keys = append(and.Keys, k)
		if !p.r.Take(' ') {
			break
		}
		word = ""
	}
	if len(and.Keys) == 1 {
		return and.Keys[0], nil
	}
	return and, nil
}

func (p *searchParser) next() (*Key, error) {
	if err := p.r.Space(); err != nil {
		return nil, err
	}
	word, err := p.r.keyWord()
	if err != nil {
		return nil, err
	}
	return p.key(word)
}

// flagKeys are the keys that ask for a flag, or for its absence.
var flagKeys = map[string]struct {
	flag string
	not  bool
}{
	"ANSWERED": {`\Answered`, false}, "DELETED": {`\Deleted`, false}, "DRAFT": {`\Draft`, false},
	"FLAGGED": {`\Flagged`, false}, "SEEN": {`\Seen`, false}, "RECENT": {`\Recent`, false},
	"UNANSWERED": {`\Answered`, true}, "UNDELETED": {`\Deleted`, true}, "UNDRAFT": {`\Draft`, true},
	"UNFLAGGED": {`\Flagged`, true}, "UNSEEN": {`\Seen`, true}, "OLD": {`\Recent`, true},
}

var (
	headerKeys = map[string]string{"BCC": "Bcc", "CC": "Cc", "FROM": "From", "SUBJECT": "Subject", "TO": "To"}
	textKeys   = map[string]Op{"BODY": OpBody, "TEXT": OpText, "EMAILID": OpEmailID, "THREADID": OpThreadID}
	dateKeys   = map[string]Op{
		"BEFORE": OpBefore, "ON": OpOn, "SINCE": OpSince,
		"SENTBEFORE": OpSentBefore, "SENTON": OpSentOn, "SENTSINCE": OpSentSince,
		"SAVEDBEFORE": OpSavedBefore, "SAVEDON": OpSavedOn, "SAVEDSINCE": OpSavedSince,
	}
	numberKeys = map[string]Op{"LARGER": OpLarger, "SMALLER": OpSmaller, "OLDER": OpOlder, "YOUNGER": OpYounger}
)

func not(k *Key) *Key { return &Key{Op: OpNot, Keys: []*Key{k}} }

// key reads one key whose word has been read.
func (p *searchParser) key(word string) (*Key, error) {
	if p.keys++; p.keys > maxSearchKeys {
		return nil, errMemory
	}
	if p.depth++; p.depth > maxSearchDepth {
		return nil, Bad("the search is nested too deeply")
	}
	defer func() { p.depth-- }()
	if f, ok := flagKeys[word]; ok {
		k := &Key{Op: OpFlag, Text: f.flag}
		if f.not {
			k = not(k)
		}
		return k, nil
	}
	if field, ok := headerKeys[word]; ok {
		text, err := p.argument()
		return &Key{Op: OpHeader, Name: field, Text: text}, err
	}
	if op, ok := textKeys[word]; ok {
		text, err := p.argument()
		return &Key{Op: op, Text: text}, err
	}
	if op, ok := dateKeys[word]; ok {
		if err := p.r.Space(); err != nil {
			return nil, err
		}
		day, err := p.r.Date()
		return &Key{Op: op, Time: day}, err
	}
	if op, ok := numberKeys[word]; ok {
		if err := p.r.Space(); err != nil {
			return nil, err
		}
		n, err := p.r.Number64()
		return &Key{Op: op, N: n}, err
	}
	return p.other(word)
}

func (p *searchParser) argument() (string, error) {
	if err := p.r.Space(); err != nil {
		return "", err
	}
	return p.r.AString()
}

func (p *searchParser) other(word string) (*Key, error) {
	switch word {
	case "":
		return p.listOrSet()
	case "ALL":
		return &Key{Op: OpAll}, nil
	case "NEW":
		return &Key{Op: OpAnd, Keys: []*Key{{Op: OpFlag, Text: `\Recent`}, not(&Key{Op: OpFlag, Text: `\Seen`})}}, nil
	case "KEYWORD", "UNKEYWORD":
		if err := p.r.Space(); err != nil {
			return nil, err
		}
		flag, err := p.r.Flag()
		k := &Key{Op: OpFlag, Text: flag}
		if word == "UNKEYWORD" {
			k = not(k)
		}
		return k, err
	case "HEADER":
		name, err := p.argument()
		if err != nil {
			return nil, err
		}
		text, err := p.argument()
		return &Key{Op: OpHeader, Name: name, Text: text}, err
	case "UID":
		if err := p.r.Space(); err != nil {
			return nil, err
		}
		set, err := p.r.Set()
		return &Key{Op: OpUID, Set: set}, err
	case "NOT":
		k, err := p.next()
		if err != nil {
			return nil, err
		}
		return not(k), nil
	case "OR":
		a, err := p.next()
		if err != nil {
			return nil, err
		}
		b, err := p.next()
		return &Key{Op: OpOr, Keys: []*Key{a, b}}, err
	case "MODSEQ":
		return p.modSeq()
	case "SAVEDATESUPPORTED":
		return &Key{Op: OpAll}, nil
	}
	return nil, Bad("SEARCH has no key %s", shorten(word))
}

func (p *searchParser) listOrSet() (*Key, error) {
	if p.r.Take('(') {
		k, err := p.program("")
		if err != nil {
			return nil, err
		}
		return k, p.r.Want(')')
	}
	set, err := p.r.Set()
	return &Key{Op: OpSeq, Set: set}, err
}

// modSeq reads RFC 7162 §3.1.5. The entry it may name is that of flags, which have one
// mod-sequence for all here.
func (p *searchParser) modSeq() (*Key, error) {
	if err := p.r.Space(); err != nil {
		return nil, err
	}
	if p.r.Is('"') {
		if _, err := p.r.quoted(); err != nil {
			return nil, err
		}
		if err := p.r.Space(); err != nil {
			return nil, err
		}
		kind, err := p.r.Word()
		if err != nil {
			return nil, err
		}
		if kind != "PRIV" && kind != "SHARED" && kind != "ALL" {
			return nil, Bad("MODSEQ has no entry type %s", shorten(kind))
		}
		if err := p.r.Space(); err != nil {
			return nil, err
		}
	}
	p.s.ModSeq = true
	n, err := p.r.Number64()
	return &Key{Op: OpModSeq, N: n}, err
}
