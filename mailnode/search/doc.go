// Package search keeps a full-text index of mailboxes and answers which of their
// messages can have a text. It is a prefilter: what it says of a message is sure, or
// is "maybe", and then whoever asks looks at the message's text; it never leaves out a
// message that has the text. The faces and app import it; it imports store and
// message, the store only to be kept in it (Stored): else it has its rows and messages
// through small interfaces.
//
// A text is looked for as IMAP does: as a substring of the folded text (message.Fold),
// without regard to words. So the index has no analyser and no stop words. It has what
// every text that contains the needle must contain:
//
//   - of ideographs and kana, each character and each pair of neighbours. One and two
//     of them are found for sure, more when all their pairs are there.
//   - of letters and digits, the words. A needle within a word is looked for in all
//     the words there are: a list of words is small, and searched at memory speed.
//   - of words longer than maxWord, which are mostly keys and hashes, the trigrams of
//     their bytes.
//
// What stands between words is not indexed.
//
// An index is made of segments of up to maxDocs messages, each written once: all
// messages of a mailbox that were there, between two UIDs. A message's UID never
// changes and never returns, so that a segment stays true; what was expunged is left
// in it until segments are joined. Messages after the last segment are not in the
// index: the answer says from where on the caller looks himself. Everything is made
// anew from the messages when the index is dropped.
//
// What an older version has made of texts it took in another way answers nothing but
// "maybe", so that a search of it is as exact, if slower, and is made anew in the
// background: some messages at a time, each step kept, a quarter of the time at most.
//
//	0 "renewed"                          how far that has come
//	account 0 mailbox "h"                head: the segments
//	account 0 mailbox "s" segment 0      meta: UIDs, directory of the blocks
//	account 0 mailbox "s" segment block  words and which messages have them
package search
