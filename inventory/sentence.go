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
	Template string   `json:"template" doc:"In English; {1} stands for the first of params" example:"{1} on {2} is to run it: upgrade that to another release first"`
	Params   []string `json:"params,omitempty"`
}

// Say makes a sentence of a format as fmt.Sprintf has it. An error or sentence
// that is the whole of it, as in Say("%s", err), stays one with its own parts.
func Say(format string, args ...any) Sentence {
	if len(args) == 1 && (format == "%s" || format == "%v") {
		switch whole := args[0].(type) {
		case Sentence:
			return whole
		case *Error:
			if whole.Err == nil {
				return whole.Said
			}
		}
	}
	var template strings.Builder
	var params []string
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		template.WriteString(text)
		if !found {
			break
		}
		n := strings.IndexFunc(after, func(r rune) bool { return !strings.ContainsRune("+-# 0123456789.", r) })
		if n < 0 || after[n] != '%' && len(params) >= len(args) || strings.ContainsAny(after[n:n+1], "[*") {
			return Sentence{Template: fmt.Sprintf(format, args...)} // it cannot be taken apart
		}
		verb := after[:n+1]
		rest = after[n+1:]
		if verb == "%" {
			template.WriteByte('%')
			continue
		}
		params = append(params, fmt.Sprintf("%"+verb, args[len(params)]))
		template.WriteString("{" + strconv.Itoa(len(params)) + "}")
	}
	return Sentence{Template: template.String(), Params: params}
}

// String is the sentence in English.
func (s Sentence) String() string {
	pairs := make([]string, 0, 2*len(s.Params))
	for i, p := range s.Params {
		pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", p)
	}
	return strings.NewReplacer(pairs...).Replace(s.Template)
}
