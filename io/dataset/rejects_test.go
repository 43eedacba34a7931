package dataset

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rejected is the lines of bad rows as a run would write them.
func rejected(data string) string {
	var out strings.Builder
	r := NewReader("in.jsonl", strings.NewReader(data))
	r.maxLine = 1 << 20
	for {
		row, err := r.Next()
		bad, ok := err.(*Error)
		if err != nil && !ok {
			return out.String()
		}
		if err == nil {
			bad = row.Errorf("neg[3]", "want a <string>, got a number")
		}
		out.Write(RejectLine(bad))
		out.WriteByte('\n')
	}
}

func TestRejectLine(t *testing.T) {
	got := rejected(` {"neg": [1.50],"x":"\ud83d"} ` + "\r\n{\"a\": 1,}\n{\"b\": \"<\xff>\"}\n[1]\n\"" + strings.Repeat("x", 1<<20) + "\"\n")
	require.Equal(t, `{"file": "in.jsonl", "line": 1, "error": "neg[3]: want a <string>, got a number", "row": {"neg": [1.50],"x":"\ud83d"}}
{"file": "in.jsonl", "line": 2, "error": "column 9: want valid JSON, got invalid character '}' looking for beginning of object key string", "row": "{\"a\": 1,}"}
{"file": "in.jsonl", "line": 3, "error": "column 9: want valid UTF-8, got byte 0xff", "row": "{\"b\": \"<\ufffd>\"}"}
{"file": "in.jsonl", "line": 4, "error": "want a JSON object, got a list", "row": [1]}
{"file": "in.jsonl", "line": 5, "error": "want a line of at most 1 MiB, got a longer one", "row": null}
`, got)
	rows, bad, _ := readAll(t, NewReader("r", strings.NewReader(got)))
	require.Empty(t, bad, "every line is valid JSON")
	require.Len(t, rows, 5)
}
