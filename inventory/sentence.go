package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// Sentence says something to a person, in English and so that it can be said in
// another language as well: who translates knows the template, and puts the
// params into its own.
type Sentence struct {
	Template string           `json:"template" doc:"In English; {1} stands for the first of params" example:"{1} on {2} is to run it: upgrade that to another release first"`
	Params   []string         `json:"params,omitempty"`
	Within   map[int]Sentence `json:"within,omitempty" doc:"Params that are sentences or words of the fleet themselves, by their number from 1"`
}

// mostWithin is how deep sentences lie in each other at most.
const mostWithin = 5

// Say makes a sentence of a format as fmt.Sprintf has it. What is put in with %s
// or %v and is a sentence itself, an error or a word, keeps its own parts.
func Say(format string, args ...any) Sentence {
	if len(args) == 1 && (format == "%s" || format == "%v") {
		if whole, ok := spoken(args[0]); ok {
			return whole
		}
	}
	var template strings.Builder
	said := Sentence{}
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		template.WriteString(text)
		if !found {
			break
		}
		n := strings.IndexFunc(after, func(r rune) bool { return !strings.ContainsRune("+-# 0123456789.", r) })
		if n < 0 || after[n] != '%' && len(said.Params) >= len(args) || strings.ContainsAny(after[n:n+1], "[*") {
			return Sentence{Template: fmt.Sprintf(format, args...)} // it cannot be taken apart
		}
		verb := after[:n+1]
		rest = after[n+1:]
		if verb == "%" {
			template.WriteByte('%')
			continue
		}
		arg := args[len(said.Params)]
		said.Params = append(said.Params, fmt.Sprintf("%"+verb, arg))
		at := len(said.Params)
		template.WriteString("{" + strconv.Itoa(at) + "}")
		if part, ok := spoken(arg); ok && (verb == "s" || verb == "v") {
			if said.Within == nil {
				said.Within = make(map[int]Sentence)
			}
			said.Within[at] = part
		}
	}
	said.Template = template.String()
	return said
}

// spoken is what can be said in another language of something that is put into a
// sentence.
func spoken(arg any) (Sentence, bool) {
	switch part := arg.(type) {
	case Sentence:
		return part, !part.None()
	case *Error:
		if part.Err != nil && !part.Said.None() {
			return Say("%s: %s", part.Said, part.Err), true // as Error has it
		}
		return part.Said, !part.Said.None()
	case interface{ Said() Sentence }:
		return part.Said(), true
	default:
		return Sentence{}, false
	}
}

// Word is a word of the fleet's own in a sentence, such as the name of a state.
func Word(word string) Sentence { return Sentence{Template: word} }

// None reports whether nothing is said.
func (s Sentence) None() bool { return s.Template == "" }

// String is the sentence in English.
func (s Sentence) String() string {
	if len(s.Params) == 0 {
		return s.Template
	}
	pairs := make([]string, 0, 2*len(s.Params))
	for i, p := range s.Params {
		pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", p)
	}
	return strings.NewReplacer(pairs...).Replace(s.Template)
}

// Beside is the sentence where it stands beside its English text; nil when the text
// alone tells as much: it is its own template.
func (s Sentence) Beside() *Sentence {
	if len(s.Params) == 0 {
		return nil
	}
	return &s
}

// Read puts together again what stood beside each other: the text, and what is
// to say the same, which another program may have sent. When it does not say
// that, the text alone counts.
func Read(text string, said *Sentence) Sentence {
	if said != nil && said.says(text, mostWithin) {
		return *said
	}
	return Sentence{Template: text}
}

// says reports whether the sentence, with all in it, is the text in English.
func (s Sentence) says(text string, depth int) bool {
	if depth == 0 || s.String() != text {
		return false
	}
	for at, part := range s.Within {
		if at < 1 || at > len(s.Params) || !part.says(s.Params[at-1], depth-1) {
			return false
		}
	}
	return true
}

// Failure is an error that says a sentence and has a cause that it may tell of.
type Failure struct {
	said  Sentence
	cause error
}

// Fail makes an error that is no more than a sentence: it has no code, so no
// client sees it but where it is a reason. Its cause is the first error among args.
func Fail(format string, args ...any) *Failure {
	f := &Failure{said: Say(format, args...)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			f.cause = err
			break
		}
	}
	return f
}

func (f *Failure) Error() string { return f.said.String() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.cause }

// Said is what it says.
func (f *Failure) Said() Sentence { return f.said }
