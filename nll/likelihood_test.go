package nll

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// An answer is the same when it comes out of the journal, to the last bit, and so is one
// that is no number.
func TestAnswersAreExactInTheJournal(t *testing.T) {
	inf := float32(math.Inf(1))
	values := Likelihoods{0, float32(math.Copysign(0, -1)), -1, -12.3456789, math.SmallestNonzeroFloat32, -math.MaxFloat32, inf, -inf, float32(math.NaN())}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		values = append(values, math.Float32frombits(rng.Uint32()))
	}
	want := Answer{Values: values}
	for i := range values {
		want.At = append(want.At, i)
	}
	text, err := json.Marshal(want)
	require.NoError(t, err)
	var got Answer
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, want.At, got.At)
	for i, v := range got.Values {
		if math.IsNaN(float64(values[i])) {
			require.True(t, math.IsNaN(float64(v)))
			continue
		}
		require.Equal(t, math.Float32bits(values[i]), math.Float32bits(v), "%v", values[i])
	}
	for _, bad := range []string{`{"at": [0], "values": ["x"]}`, `{"at": [0], "values": [null]}`, `{"at": [0], "values": 1}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &got), bad)
	}
}
