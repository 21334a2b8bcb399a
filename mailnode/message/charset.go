package message

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// charsets are names that mail uses and the indexes do not know, or know as
// something narrower than what is meant: text that says gb2312 is GBK or GB18030,
// each a superset of the one before.
var charsets = map[string]encoding.Encoding{
	"gb2312": simplifiedchinese.GB18030, "gb_2312-80": simplifiedchinese.GB18030,
	"gb2312-80": simplifiedchinese.GB18030, "csgb2312": simplifiedchinese.GB18030,
	"euc-cn": simplifiedchinese.GB18030, "x-euc-cn": simplifiedchinese.GB18030,
	"gbk": simplifiedchinese.GB18030, "x-gbk": simplifiedchinese.GB18030,
	"cp936": simplifiedchinese.GB18030, "ms936": simplifiedchinese.GB18030,
	"windows-936": simplifiedchinese.GB18030, "chinese": simplifiedchinese.GB18030,
	"gb18030": simplifiedchinese.GB18030, "gb-18030": simplifiedchinese.GB18030,
	"hz-gb-2312": simplifiedchinese.HZGB2312, "hz": simplifiedchinese.HZGB2312,
	"big5": traditionalchinese.Big5, "cp950": traditionalchinese.Big5,
	"ms950": traditionalchinese.Big5, "big5-hkscs": traditionalchinese.Big5,
	"x-x-big5": traditionalchinese.Big5, "csbig5": traditionalchinese.Big5,
	"iso-2022-cn": shifted{simplifiedchinese.GBK}, "iso-2022-cn-ext": shifted{simplifiedchinese.GBK},
	"iso-2022-kr": shifted{korean.EUCKR}, "cp949": korean.EUCKR, "ms949": korean.EUCKR, "uhc": korean.EUCKR,
	"iso-2022-jp-2": japanese.ISO2022JP, "iso-2022-jp-1": japanese.ISO2022JP,
	"iso-2022-jp-ms": japanese.ISO2022JP, "cp50220": japanese.ISO2022JP, "cp50221": japanese.ISO2022JP,
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "eucjp": japanese.EUCJP, "sjis": japanese.ShiftJIS,
	"latin1": charmap.Windows1252, "latin-1": charmap.Windows1252, "iso8859-1": charmap.Windows1252,
	"utf-16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), // RFC 2781 §4.3
	"utf-7":  utf7{}, "unicode-1-1-utf-7": utf7{}, "csunicode11utf7": utf7{},
}

// charset finds a charset's decoder. It is nil for UTF-8 and for names that say
// nothing: those whose text is guessed at.
func charset(name string) encoding.Encoding {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "utf-8", "utf8", "unicode-1-1-utf-8", "unknown-8bit", "x-unknown", "default", "8bit", "binary":
		return nil
	}
	if e, ok := charsets[name]; ok {
		return e
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		if n, _ := htmlindex.Name(e); n == "utf-8" {
			return nil
		}
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	if cp, ok := strings.CutPrefix(name, "cp"); ok {
		if e, err := htmlindex.Get("windows-" + cp); err == nil {
			return e
		}
		if e, err := ianaindex.MIME.Encoding("ibm" + cp); err == nil {
			return e
		}
	}
	return nil
}

// decodeText decodes text of a charset; bytes the charset does not have become
// U+FFFD. Text of no charset is guessed at.
func decodeText(name string, b []byte) string {
	if e := charset(name); e != nil {
		if out, err := e.NewDecoder().Bytes(b); err == nil {
			return string(out)
		}
	}
	return guess(b)
}

// guess decodes text that does not say what it is: UTF-8 when it is valid, GB18030
// when that is, and otherwise Latin-1, which anything is.
func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil && !strings.ContainsRune(string(out), utf8.RuneError) {
		return string(out)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}
