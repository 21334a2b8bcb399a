package rest

import (
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2/validation"

	"mailfleet/inventory"
)

// phrase is what huma says of a request that does not fit the schema, and how this API
// says it.
type phrase struct {
	theirs *regexp.Regexp
	ours   func(parts ...any) inventory.Sentence
}

// say makes the phrase that says format, with the parts of huma's, in its place.
func say(theirs, format string) phrase {
	pattern := "^" + verbs.ReplaceAllString(regexp.QuoteMeta(theirs), `(.*)`) + "$"
	return phrase{regexp.MustCompile("(?s)" + pattern), func(parts ...any) inventory.Sentence {
		return inventory.Say(format, parts...)
	}}
}

// verbs are what huma's formats have in place of their parts.
var verbs = regexp.MustCompile(`%[vsd]`)

// phrases are all that huma says, so that it reaches people in this API's words and in
// their language. The first that fits counts: what is more exact stands before the rest.
var phrases = []phrase{
	say("validation failed", "the request is not valid"),
	say("request body is required", "the request has no body, and needs one"),
	say("request body is too large limit=%d bytes", "the body of the request has more than %s octets"),
	say("request body read timeout", "the body of the request did not arrive in time"),
	say("cannot read multipart form: %v", "the form cannot be read: %s"),
	say("unexpected error occurred", "internal error"),
	say("unable to marshal response", "internal error"),
	say("cannot read request body", "the body of the request cannot be read"),
	say("unknown query parameter", "there is no such parameter"),
	say("required %s parameter is missing", "this %s parameter must be given"),
	say("expected at most one value, but received multiple values", "give it once"),
	say("unsupported type", "it has a type that cannot be read"),
	say("unparsable value", "it cannot be read"),
	say("invalid integer", "it must be a whole number"),
	say("invalid float", "it must be a number"),
	say("invalid floating value", "it must be a number"),
	say("invalid boolean", "it must be true or false"),
	say("invalid date/time for format %s", "it must be a time written as %s"),
	say("invalid url.URL value", "it must be a URL"),
	say("invalid value: %s", "it cannot be used: %s"),
	say("write only property is non-zero", "it can be written only, not read"),
	say(validation.MsgUnexpectedProperty, "there is no such field"),
	say(validation.MsgExpectedRFC3339DateTime, "it must be a date with time, such as 2026-01-31T08:00:00Z"),
	say(validation.MsgExpectedRFC1123DateTime, "it must be a date with time, such as Sat, 31 Jan 2026 08:00:00 GMT"),
	say(validation.MsgExpectedRFC3339Date, "it must be a date, such as 2026-01-31"),
	say(validation.MsgExpectedRFC3339Time, "it must be a time of day, such as 08:00:00Z"),
	say(validation.MsgExpectedRFC5322Email, "it must be a mail address: %s"),
	say(validation.MsgExpectedRFC5890Hostname, "it must be a host name"),
	say(validation.MsgExpectedRFC2673IPv4, "it must be an IPv4 address"),
	say(validation.MsgExpectedRFC2373IPv6, "it must be an IPv6 address"),
	say(validation.MsgExpectedRFCIPAddr, "it must be an IPv4 or IPv6 address"),
	say(validation.MsgExpectedRFC3986URI, "it must be a URI: %s"),
	say(validation.MsgExpectedRFC4122UUID, "it must be a UUID: %s"),
	say(validation.MsgExpectedRFC6570URITemplate, "it must be a URI template"),
	say(validation.MsgExpectedRFC6901JSONPointer, "it must be a JSON pointer"),
	say(validation.MsgExpectedRFC6901RelativeJSONPointer, "it must be a relative JSON pointer"),
	say(validation.MsgExpectedRegexp, "it must be a regular expression: %s"),
	say(validation.MsgExpectedMatchAtLeastOneSchema, "it has none of the forms that are possible here"),
	say(validation.MsgExpectedMatchExactlyOneSchema, "it has none of the forms that are possible here"),
	say("expected value to match exactly one schema but matched multiple", "it has several of the forms that are possible here, and must have one"),
	say(validation.MsgExpectedNotMatchSchema, "it has a form that is not possible here"),
	say(validation.MsgExpectedPropertyNameInObject, "it lacks the field that tells its form"),
	say(validation.MsgExpectedBoolean, "it must be true or false"),
	say(validation.MsgExpectedDuration, "it must be a duration, such as 90s: %s"),
	say(validation.MsgExpectedNumber, "it must be a number"),
	say(validation.MsgExpectedInteger, "it must be a whole number"),
	say(validation.MsgExpectedBase64String, "it must be base64"),
	say(validation.MsgExpectedString, "it must be a text"),
	say(validation.MsgExpectedArray, "it must be a list"),
	say(validation.MsgExpectedObject, "it must be an object"),
	say(validation.MsgExpectedArrayItemsUnique, "each may be in the list once"),
	say(validation.MsgExpectedOneOf, "it must be one of: %s"),
	say(validation.MsgExpectedMinimumNumber, "it must be at least %s"),
	say(validation.MsgExpectedExclusiveMinimumNumber, "it must be more than %s"),
	say(validation.MsgExpectedMaximumNumber, "it must be at most %s"),
	say(validation.MsgExpectedExclusiveMaximumNumber, "it must be less than %s"),
	say(validation.MsgExpectedNumberBeMultipleOf, "it must be a multiple of %s"),
	say(validation.MsgExpectedMinLength, "it must have at least %s characters"),
	say(validation.MsgExpectedMaxLength, "it must have at most %s characters"),
	say(validation.MsgExpectedMatchPattern, "it must match the pattern %s"),
	say(validation.MsgExpectedBePattern, "it must be %s"),
	say(validation.MsgExpectedMinItems, "the list must have at least %s entries"),
	say(validation.MsgExpectedMaxItems, "the list must have at most %s entries"),
	say(validation.MsgExpectedMinProperties, "it must have at least %s fields"),
	say(validation.MsgExpectedMaxProperties, "it must have at most %s fields"),
	say(validation.MsgExpectedRequiredProperty, "the field %s must be given"),
	say(validation.MsgExpectedDependentRequiredProperty, "the field %s must be given together with %s"),
	say(`%s is not a duration: write 30, "30s" or "1m30s"`, `%s is not a duration: write 30, "30s" or "1m30s"`), // inventory.Duration's own
	say("unexpected end of JSON input", "the JSON ends too early"),
	say("invalid character %s looking for %s", "the JSON has an unexpected character %s"),
	say("invalid character %s after %s", "the JSON has an unexpected character %s"),
	say("invalid character %s in %s", "the JSON has an unexpected character %s"),
	say("invalid character %s", "the JSON has an unexpected character %s"),
	say("json: cannot unmarshal %s", "the JSON has a value of another type than is possible here: %s"),
	say("unknown content type: %s", "the content type %s cannot be read here"),
}

// told is a text of huma's in this API's words; as it is when nobody knows it.
func told(theirs string) (string, *inventory.Sentence) {
	for _, p := range phrases {
		found := p.theirs.FindStringSubmatch(theirs)
		if found == nil {
			continue
		}
		parts := make([]any, 0, len(found)-1)
		for _, part := range found[1:] {
			parts = append(parts, strings.TrimSpace(part))
		}
		said := p.ours(parts...)
		return said.String(), &said
	}
	return theirs, nil
}
