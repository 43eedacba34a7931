package model

// Guide says which tokens a sequence may go on with.
type Guide interface {
	// Allowed returns the ids that may come next, in rising order: one is forced,
	// none ends the sequence. Valid until Accept.
	Allowed() []int32
	// Accept moves on by a token, one of those allowed.
	Accept(id int32)
	// Reset goes back to the beginning.
	Reset()
}

// Choice is a place where a row's next token was looked at.
type Choice struct {
	At      int     // the token's place among those generated
	LogProb float64 // ln P of the token, over the whole vocabulary
	Mass    float64 // P of all tokens allowed at this place; 1 without a guide
}
