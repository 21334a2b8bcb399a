package wire

// SortKey is a criterion of SORT (RFC 5256 §3, RFC 5957).
type SortKey struct {
	Name    string // in upper case: ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO
	Reverse bool
}

var sortNames = map[string]bool{
	"ARRIVAL": true, "CC": true, "DATE": true, "DISPLAYFROM": true, "DISPLAYTO": true,
	"FROM": true, "SIZE": true, "SUBJECT": true, "TO": true,
}

const maxSortKeys = 32

// Sort reads what SORT takes.
func (r *Reader) Sort() (keys []SortKey, s *Search, err error) {
	s = &Search{}
	if r.Is('R') || r.Is('r') { // RETURN (RFC 5267 §3)
		word, err := r.Word()
		if err != nil {
			return nil, nil, err
		}
		if word != "RETURN" {
			return nil, nil, Bad("SORT takes a list of criteria")
		}
		if err := r.Space(); err != nil {
			return nil, nil, err
		}
		if s.Return, err = r.ReturnOptions(); err != nil {
			return nil, nil, err
		}
		if err := r.Space(); err != nil {
			return nil, nil, err
		}
	}
	reverse := false
	err = r.List(func() error {
		word, err := r.Word()
		switch {
		case err != nil:
			return err
		case word == "REVERSE" && !reverse:
			reverse = true
			return nil
		case !sortNames[word]:
			return Bad("SORT has no criterion %s", shorten(word))
		case len(keys) == maxSortKeys:
			return errMemory
		}
		keys = append(keys, SortKey{word, reverse})
		reverse = false
		return nil
	})
	if err == nil && (len(keys) == 0 || reverse) {
		err = Bad("SORT needs a criterion")
	}
	if err != nil {
		return nil, nil, err
	}
	if s.Charset, err = r.charset(); err != nil {
		return nil, nil, err
	}
	s.Key, err = (&searchParser{r: r, s: s}).program("")
	return keys, s, err
}

// Thread reads what THREAD takes.
func (r *Reader) Thread() (algorithm string, s *Search, err error) {
	s = &Search{}
	if algorithm, err = r.Word(); err != nil {
		return "", nil, err
	}
	if s.Charset, err = r.charset(); err != nil {
		return "", nil, err
	}
	s.Key, err = (&searchParser{r: r, s: s}).program("")
	return algorithm, s, err
}
