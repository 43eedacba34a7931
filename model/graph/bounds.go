package graph

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds on what ONNX Runtime makes of a model. It holds each message and name as
// an object of some 50 to 100 bytes, however short it is in the file.
const (
	maxMessages = 8 << 20 // the export of a 70B model has less than a million
	maxNested   = 100     // messages inside one another; protobuf itself bounds them so
)

// kind is a kind of message.
type kind int

const (
	uncounted kind = iota
	leaf           // a name, or a message whose own fields are not counted
	modelKind
	graphKind
	nodeKind
	attributeKind
	tensorKind
	sparseKind
	functionKind
	trainingKind
	valueKind
	typeKind
	tensorTypeKind
	sequenceKind
	mapKind
	shapeKind
	kinds // how many there are
)

// schema says which fields of a message are messages or names (onnx.proto).
// Numbers and the bytes of tensors are left out: they take no more memory than
// they take in the file.
var schema = [kinds][32]kind{
	modelKind:      {7: graphKind, 8: leaf, 14: leaf, 20: trainingKind, 25: functionKind, 26: leaf},
	graphKind:      {1: nodeKind, 5: tensorKind, 11: valueKind, 12: valueKind, 13: valueKind, 14: leaf, 15: sparseKind, 16: leaf},
	nodeKind:       {1: leaf, 2: leaf, 5: attributeKind, 9: leaf, 10: leaf},
	attributeKind:  {5: tensorKind, 6: graphKind, 9: leaf, 10: tensorKind, 11: graphKind, 14: typeKind, 15: typeKind, 22: sparseKind, 23: sparseKind},
	tensorKind:     {6: leaf, 13: leaf, 16: leaf},
	sparseKind:     {1: tensorKind, 2: tensorKind},
	functionKind:   {4: leaf, 5: leaf, 6: leaf, 7: nodeKind, 9: leaf, 11: attributeKind, 12: valueKind, 14: leaf},
	trainingKind:   {1: graphKind, 2: graphKind, 3: leaf, 4: leaf},
	valueKind:      {2: typeKind, 4: leaf},
	typeKind:       {1: tensorTypeKind, 4: sequenceKind, 5: mapKind, 7: leaf, 8: tensorTypeKind, 9: sequenceKind},
	tensorTypeKind: {2: shapeKind},
	sequenceKind:   {1: typeKind},
	mapKind:        {2: typeKind},
	shapeKind:      {1: leaf},
}

// counter counts the messages of a model.
type counter struct{ messages int }

func (c *counter) count(k kind, msg []byte, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("want messages at most %d deep, got more", maxNested)
	}
	return fields(msg, func(num protowire.Number, b []byte, _ uint64) error {
		inner := uncounted
		if b != nil && int(num) < len(schema[k]) {
			inner = schema[k][num]
		}
		if inner == uncounted {
			return nil
		}
		if c.messages++; c.messages > maxMessages {
			return fmt.Errorf("want at most %d messages and names, got more", maxMessages)
		}
		if inner == leaf {
			return nil
		}
		return c.count(inner, b, depth+1)
	})
}
