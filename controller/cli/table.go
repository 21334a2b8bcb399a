package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// column is one column of a table of Ts.
type column[T any] struct {
	title string
	cell  func(T) string
}

// show writes items as the user wants them: a table, or a JSON list.
func show[T any](s *settings, w io.Writer, items []T, columns []column[T]) error {
	if s.output == "json" {
		if items == nil {
			items = []T{}
		}
		return printJSON(w, items)
	}
	rows := tabulate(items, columns)
	if s.output == "csv" {
		return printCSV(w, rows)
	}
	return align(w, rows)
}

// tabulate makes the rows of a table, the titles first.
func tabulate[T any](items []T, columns []column[T]) [][]string {
	rows := make([][]string, 1, len(items)+1)
	for _, c := range columns {
		rows[0] = append(rows[0], c.title)
	}
	for _, item := range items {
		var row []string
		for _, c := range columns {
			row = append(row, c.cell(item))
		}
		rows = append(rows, row)
	}
	return rows
}

// showOne writes one thing: the table on its side, or a JSON object.
func showOne[T any](s *settings, w io.Writer, item T, columns []column[T]) error {
	if s.output == "json" {
		return printJSON(w, item)
	}
	if s.output == "csv" {
		return printCSV(w, tabulate([]T{item}, columns))
	}
	var rows [][]string
	for _, c := range columns {
		rows = append(rows, []string{c.title, c.cell(item)})
	}
	return align(w, rows)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printCSV writes rows as RFC 4180 has it, titles in the small letters of the
// API's field names. A cell that a spreadsheet would run as a formula is quoted.
func printCSV(w io.Writer, rows [][]string) error {
	c := csv.NewWriter(w)
	for i, title := range rows[0] {
		rows[0][i] = strings.ReplaceAll(strings.ToLower(title), " ", "_")
	}
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && !isNumber(cell) {
				row[i] = "'" + cell
			}
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// align writes rows with their columns under each other.
func align(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = plain(row[i])
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i == len(row)-1 {
				b.WriteString(cell)
				break
			}
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-width(cell)+2))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plain makes a text one line that cannot steer the terminal; nothing is "-".
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s
}

// width is how many columns of a terminal a text takes.
func width(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide tells the characters that take two columns: East Asian Wide and
// Fullwidth (Unicode Standard Annex 11), by blocks.
func wide(r rune) bool {
	for _, block := range [...][2]rune{
		{0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA000, 0xA4CF},
		{0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
		{0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
	} {
		if block[0] <= r && r <= block[1] {
			return true
		}
	}
	return false
}

// moment is a time for people; never is "".
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func number(v any) string { return fmt.Sprint(v) }
