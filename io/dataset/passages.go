package dataset

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Passages returns a row's passages, pos then neg, and how many of them are pos. ok is
// false where the row has neither field.
func (r *Row) Passages() (all []string, pos int, ok bool, err error) {
	positives, okPos, err := r.Strings("pos")
	if err != nil {
		return nil, 0, false, err
	}
	negatives, okNeg, err := r.Strings("neg")
	if err != nil {
		return nil, 0, false, err
	}
	pos = len(positives)
	return append(positives[:pos:pos], negatives...), pos, okPos || okNeg, nil
}

// PassageField names passage i of pos then neg as the row does: pos[0], neg[2].
func PassageField(i, pos int) string {
	if i < pos {
		return fmt.Sprintf("pos[%d]", i)
	}
	return fmt.Sprintf("neg[%d]", i-pos)
}

// Draw is random numbers by a seed and a row's own words, so that they depend on
// neither the row's place in the file nor its neighbours; more tells several draws of a
// row apart.
func Draw(seed uint64, query string, texts []string, more ...uint64) *rand.Rand {
	h := fnv.New64a()
	write := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	write(query)
	for _, s := range texts {
		write(s)
	}
	for _, n := range more {
		h.Write(binary.AppendUvarint(nil, n))
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
