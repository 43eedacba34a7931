package ort

import (
	"errors"
	"slices"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// cacheShape is what one key or value tensor of the cache, [B, heads, P, headDim],
// looks like, and how many of them there are.
type cacheShape struct {
	memory         *memory
	typ            graph.ElemType
	tensors        int
	heads, headDim int
}

// bytes is the size of one tensor.
func (s *cacheShape) bytes(rows, columns int) int {
	return rows * columns * s.heads * s.headDim * s.typ.Size()
}

func (s *cacheShape) view(b *buffer, first, rows, columns int) (onnx.Value, error) {
	return b.view(s.bytes(first, columns), s.typ, int64(rows), int64(s.heads), int64(columns), int64(s.headDim))
}

// views makes a view of each buffer.
func (s *cacheShape) views(buffers []*buffer, first, rows, columns int) ([]onnx.Value, error) {
	var values []onnx.Value
	for _, b := range buffers {
		v, err := s.view(b, first, rows, columns)
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

// ensure returns buffers of at least size bytes: those given, or new ones in
// their place. It frees before it allocates, so that old and new never lie side
// by side.
func (s *cacheShape) ensure(buffers []*buffer, size int) ([]*buffer, error) {
	if len(buffers) == s.tensors && buffers[0].size >= size {
		return buffers, nil
	}
	release(buffers)
	buffers = nil
	for range s.tensors {
		b, err := s.memory.alloc(size)
		if err != nil {
			release(buffers)
			return nil, err
		}
		buffers = append(buffers, b)
	}
	return buffers, nil
}

func release(buffers []*buffer) {
	for _, b := range buffers {
		b.free()
	}
}

// inPlace is the cache of GroupQueryAttention: past and present are one buffer
// [B, heads, capacity, headDim], and the operator writes a row's new keys where
// that row ends, as the mask's sum tells it. A row's place can be given to another
// prompt at any time; what lies beyond a row's end is never read.
type inPlace struct {
	cacheShape
	buffers  []*buffer
	capacity int
	held     [][]int32 // [B] the tokens that the rows have read
}

func (c *inPlace) reset(rows, _, capacity int) (err error) {
	c.held, c.capacity = make([][]int32, rows), capacity
	c.buffers, err = c.ensure(c.buffers, c.bytes(rows, capacity))
	return err
}

func (c *inPlace) length(row int) int { return len(c.held[row]) }
func (c *inPlace) drop(row int)       { c.held[row] = nil }
func (c *inPlace) pads(_, _ int) int  { return 0 }

// width is even where there are several tokens a row: see withoutLeftOver.
func (c *inPlace) width(first, longest int) int {
	if even := longest + longest%2; longest > 1 && len(c.held[first])+even <= c.capacity {
		return even
	}
	return longest
}

// begin copies the beginning from the row that has the longest in common with the
// prompt: keys and values depend on no token but those before. A GPU's memory is
// not copied, and its prompts are read whole. Two tokens at least are left, since one
// by itself would get other last bits than in the whole prompt.
func (c *inPlace) begin(row int, prompt []int32) int {
	if c.memory.cuda != nil {
		c.drop(row)
		return 0
	}
	from, n := row, 0
	for r, tokens := range c.held {
		if k := model.Common(tokens, prompt[:max(0, len(prompt)-2)]); k > n {
			from, n = r, k
		}
	}
	if from != row {
		c.copyRow(row, from, n)
	}
	c.held[row] = slices.Clone(prompt[:n])
	return n
}

// copyRow copies the keys and values of a row's first n tokens to another row.
func (c *inPlace) copyRow(to, from, n int) {
	row, head := c.bytes(1, c.capacity), c.bytes(1, c.capacity)/c.heads
	size := c.bytes(1, n) / c.heads
	for _, b := range c.buffers {
		for at := 0; at < row; at += head {
			copy(b.host(to*row+at, size), b.host(from*row+at, size))
		}
	}
}

func (c *inPlace) free() {
	release(c.buffers)
	c.buffers = nil
}

func (c *inPlace) past(first, n int) int {
	longest := 0
	for _, tokens := range c.held[first : first+n] {
		longest = max(longest, len(tokens))
	}
	return longest
}

func (c *inPlace) mask(row int, out []int64) {
	for t := range c.held[row] {
		out[t] = 1
	}
}

func (c *inPlace) values(first int, f *forward) (past, present []onnx.Value, err error) {
	if f.past+f.width > c.capacity {
		return nil, nil, errors.New("want tokens within the cache's capacity, got more")
	}
	if past, err = c.views(c.buffers, first, f.rows, c.capacity); err != nil {
		return past, nil, err
	}
	present, err = c.views(c.buffers, first, f.rows, c.capacity)
	return past, present, err
}

func (c *inPlace) add(first, _ int, tokens [][]int32) {
	for i, ids := range tokens {
		c.held[first+i] = append(c.held[first+i], ids...)
	}
}

// growing is the cache of graphs that give out past and new keys together: two
// sets of buffers take turns, and every forward adds its width in columns to all
// rows. All prompts take as many columns as the widest, so that they can be read in
// several goes, and are padded on the left: then the columns of a row's tokens follow
// one another, as a graph wants that counts a sliding window, or positions, in columns.
type growing struct {
	cacheShape
	now, then []*buffer // what the cache holds, and where the next forward writes
	columns   int       // of the prompts
	seen      [][]int64 // [B][P] the mask
	lens      []int     // [B]
}

func (c *growing) reset(rows, width, capacity int) (err error) {
	c.columns, c.seen, c.lens = width, make([][]int64, rows), make([]int, rows)
	size := c.bytes(rows, capacity)
	if c.now, err = c.ensure(c.now, size); err == nil {
		c.then, err = c.ensure(c.then, size)
	}
	return err
}

func (c *growing) length(row int) int        { return c.lens[row] }
func (c *growing) mask(row int, out []int64) { copy(out, c.seen[row]) }

// width is that of all prompts for prompts.
func (c *growing) width(first, longest int) int {
	if len(c.seen[first]) == 0 {
		return c.columns
	}
	return longest
}

func (c *growing) pads(width, tokens int) int { return width - tokens }

// past is 0 for prompts, the first of which may have gone before.
func (c *growing) past(first, _ int) int { return len(c.seen[first]) }

// drop does nothing: the columns stay, and a row that has ended is as good as any
// to carry pads.
func (c *growing) drop(int) {}

// begin takes over nothing: prompts are read whole, into the same columns.
func (c *growing) begin(int, []int32) int { return 0 }

func (c *growing) free() {
	release(c.now)
	release(c.then)
	c.now, c.then = nil, nil
}

func (c *growing) values(first int, f *forward) (past, present []onnx.Value, err error) {
	if f.past == 0 {
		return c.prompts(first, f)
	}
	if c.then, err = c.ensure(c.then, c.bytes(f.rows, f.past+f.width)); err != nil {
		return nil, nil, err
	}
	if past, err = c.views(c.now, 0, f.rows, f.past); err != nil {
		return past, nil, err
	}
	present, err = c.views(c.then, 0, f.rows, f.past+f.width)
	return past, present, err
}

// prompts makes the values of a prefill, which writes its own rows of a block
// that is width columns wide.
func (c *growing) prompts(first int, f *forward) (past, present []onnx.Value, err error) {
	mk := emptyPast(c.typ, c.heads, c.headDim)
	for range c.tensors {
		v, err := mk(f.rows)
		if err != nil {
			return past, nil, cleanError(err)
		}
		past = append(past, v)
	}
	present, err = c.views(c.now, first, f.rows, f.width)
	return past, present, err
}

func (c *growing) add(first, width int, tokens [][]int32) {
	if len(c.seen[first]) > 0 {
		c.now, c.then = c.then, c.now
	}
	for i, ids := range tokens {
		row := first + i
		for t := range width {
			c.seen[row] = append(c.seen[row], int64(min(1, max(0, t+1-c.pads(width, len(ids))))))
		}
		c.lens[row] += len(ids)
	}
}
