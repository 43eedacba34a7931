package dataset

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ortscore/ortscore/io/regular"
)

// MaxLine is the length in bytes of the longest line that is read.
const MaxLine = 64 << 20

// readSize is the size of the buffer that lines are cut from.
const readSize = 256 << 10

// Reader reads rows. Only Progress may be called from another goroutine.
type Reader struct {
	name    string
	kind    string // "gzip" or "zstd", "" for plain text
	lines   *bufio.Reader
	closers []func() error
	line    int       // lines read so far
	rows    int       // of these, the ones that are not blank
	hash    hash.Hash // of all bytes of these
	buf     []byte    // the line being read
	maxLine int       // MaxLine, less in tests
	final   error     // what every further Next gives
}

// NewReader reads the lines of r as they are; name is the file in messages.
func NewReader(name string, r io.Reader) *Reader {
	return &Reader{name: name, lines: bufio.NewReaderSize(r, readSize), maxLine: MaxLine, hash: sha256.New()}
}

// Name is the file in messages.
func (r *Reader) Name() string { return r.name }

// Rows is how many rows were read or passed over so far, bad ones included.
func (r *Reader) Rows() int { return r.rows }

// Content tells what a Reader has read, decompressed: two that have read the same bytes
// have the same Content.
type Content struct {
	Lines int // blank ones included
	sum   [sha256.Size]byte
}

// SHA256 is the digest of what was read, in hexadecimal digits.
func (c Content) SHA256() string { return hex.EncodeToString(c.sum[:]) }

// Content returns what was read so far.
func (r *Reader) Content() Content {
	c := Content{Lines: r.line}
	r.hash.Sum(c.sum[:0])
	return c
}

// ErrChanged is in the chain of Changed's error.
var ErrChanged = errors.New("the file has changed since it was checked")

// Changed returns an error where what was read is not what was read before.
func (r *Reader) Changed(before Content) error {
	switch now := r.Content(); {
	case now == before:
		return nil
	case now.Lines != before.Lines:
		return fmt.Errorf("%s: %w: want %d lines, got %d", r.name, ErrChanged, before.Lines, now.Lines)
	}
	return fmt.Errorf("%s: %w: want the same %d lines, got others", r.name, ErrChanged, before.Lines)
}

// Open reads a .json or .jsonl file, one object a line in both, as it is or
// compressed (.gz or .zst, of one frame or several). "-" is standard input,
// uncompressed.
func Open(path string) (*Reader, error) {
	if path == Stdin {
		return NewReader(path, os.Stdin), nil
	}
	_, _, compression, ok := splitPath(path)
	if !ok {
		return nil, fmt.Errorf("want a .json, .jsonl (also .gz, .zst) file or -, got %q", path)
	}
	file, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	r := NewReader(path, file)
	r.closers = append(r.closers, file.Close)
	if compression != "" {
		r.decompress(compression)
	}
	return r, nil
}

// decompress puts a decoder before lines. What is wrong with the stream comes
// out of the first Next, with its line like any later damage.
func (r *Reader) decompress(compression string) {
	var unpack func(io.Reader) (io.Reader, error)
	if compression == ".gz" {
		r.kind, unpack = "gzip", func(in io.Reader) (io.Reader, error) { return gzip.NewReader(in) }
	} else {
		r.kind, unpack = "zstd", r.unpackZstd
	}
	if _, err := r.lines.Peek(1); err == io.EOF {
		// A zstd decoder would pass an empty file off as an empty data set.
		r.final = r.damage(errors.New("an empty file"))
		return
	}
	unpacked, err := unpack(r.lines)
	if err != nil {
		r.final = r.damage(err)
		return
	}
	r.lines = bufio.NewReaderSize(unpacked, readSize)
}

func (r *Reader) unpackZstd(in io.Reader) (io.Reader, error) {
	// With more decoders it would run goroutines, to be waited for on errors.
	decoder, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error { decoder.Close(); return nil })
	return decoder, nil
}

// Next gives the next row, whose bytes are its own, and io.EOF after the last.
//
// An *Error is a bad row: the next call gives the row after it. Every other
// error is final. Blank lines are passed over but counted. A line may end in
// "\r\n", the last one in nothing, and a byte order mark may stand before the
// first.
func (r *Reader) Next() (*Row, error) {
	line, err := r.next()
	if err != nil {
		return nil, err
	}
	return Parse(r.name, r.line, bytes.Clone(line))
}

// Skip passes over the next row without a look at what it says. Its error is as Next's,
// and never an *Error.
func (r *Reader) Skip() error {
	_, err := r.next()
	var bad *Error
	if errors.As(err, &bad) {
		return nil
	}
	return err
}

// next gives the line of the next row, valid until the next call.
func (r *Reader) next() ([]byte, error) {
	for r.final == nil {
		line, tooLong := r.readLine()
		if r.final != nil {
			break
		}
		r.line++
		if tooLong {
			r.rows++
			return nil, &Error{File: r.name, Line: r.line, Msg: fmt.Sprintf("want a line of at most %d MiB, got a longer one", r.maxLine>>20)}
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.Trim(line, " \t\r")) > 0 {
			r.rows++
			return line, nil
		}
	}
	return nil, r.final
}

// readLine gives the next line without its end, valid until the next call. Of a
// line longer than maxLine only the fact is kept. At the end of the data, and
// on errors, it sets final.
func (r *Reader) readLine() (line []byte, tooLong bool) {
	r.buf = r.buf[:0]
	started := false
	for {
		chunk, err := r.lines.ReadSlice('\n')
		_, _ = r.hash.Write(chunk) // which never fails
		started = started || len(chunk) > 0
		if len(r.buf)+len(chunk) > r.maxLine+len("\r\n") {
			tooLong = true
		}
		if !tooLong {
			r.buf = append(r.buf, chunk...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err == io.EOF && !started {
			r.final = io.EOF
		} else if err != nil && err != io.EOF {
			r.final = r.damage(err)
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(r.buf, []byte("\n")), []byte("\r"))
		return line, tooLong || len(line) > r.maxLine
	}
}

// damage is the final error for a source that cannot be read on. It is not an
// *Error: skipping the row would lead nowhere.
func (r *Reader) damage(err error) error {
	if r.kind == "" {
		return fmt.Errorf("%s:%d: %w", r.name, r.line+1, err)
	}
	return fmt.Errorf("%s:%d: want a whole %s stream, got %w", r.name, r.line+1, r.kind, err)
}

// Close closes the file; standard input and a NewReader's source stay open.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c())
	}
	r.closers = nil
	return errors.Join(errs...)
}
