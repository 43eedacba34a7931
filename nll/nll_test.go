package nll

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job/jobtest"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// parse makes a row of line 7 of rows.jsonl.
func parse(t testing.TB, line string) *dataset.Row {
	t.Helper()
	row, err := dataset.Parse("rows.jsonl", 7, []byte(line))
	require.NoError(t, err)
	return row
}

// reader reads lines as the file rows.jsonl.
func reader(lines ...string) *dataset.Reader {
	return dataset.NewReader("rows.jsonl", strings.NewReader(strings.Join(lines, "\n")))
}

// builder counts tokens by bytes.
func builder() Builder {
	return Builder{Tokenizer: modeltest.Bytes{}, KeyMaxLength: 512, MaxLength: 4096, Vocab: modeltest.BytesVocab, Span: Offsets}
}

type lines = jobtest.Output

// requireBad wants an error of the data with this text, after its place.
func requireBad(t testing.TB, err error, want string, about ...any) {
	t.Helper()
	var bad *dataset.Error
	require.True(t, errors.As(err, &bad), "want an error of the data, got %v (%v)", err, about)
	require.Equal(t, "rows.jsonl:7: "+want, err.Error(), about...)
}

// texts gives the text and the answer's part of each sequence.
func texts(seqs []model.Sequence) (out [][2]string) {
	var tok modeltest.Bytes
	for _, s := range seqs {
		span := AnswerSpan(s)
		out = append(out, [2]string{tok.Text(s.Tokens), tok.Text(s.Tokens[span.From:span.To])})
	}
	return out
}
