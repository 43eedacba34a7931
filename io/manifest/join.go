package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Adder adds up the summaries of a command's shards.
type Adder func(command string, summaries []json.RawMessage) (json.RawMessage, error)

// Join returns the manifest of an output that holds the rows of all shards, in the
// order of their rows. It has no Output, Rejected and Answers yet.
//
// The shards must be all of one input, by one identity, without gaps and overlaps.
// Where they ran on unlike machines, Machine has all values.
func Join(shards []*Manifest, add Adder) (*Manifest, error) {
	shards = slices.Clone(shards)
	slices.SortStableFunc(shards, func(a, b *Manifest) int { return cmp.Compare(a.Shard.Index, b.Shard.Index) })
	if err := alike(shards); err != nil {
		return nil, err
	}
	if err := whole(shards); err != nil {
		return nil, err
	}
	m := *shards[0]
	m.Machine = allFacts(shards)
	m.Arguments = slices.DeleteFunc(slices.Clone(m.Arguments), func(arg string) bool { return strings.HasPrefix(arg, "--shard=") })
	m.Shard = Shard{To: m.Shard.Total, Total: m.Shard.Total, Block: m.Shard.Block}
	m.Counts, m.Seconds, m.Output, m.Rejected, m.Answers, m.Shards = Counts{}, 0, Written{}, nil, nil, nil
	var summaries []json.RawMessage
	for _, s := range shards {
		m.add(s)
		summaries = append(summaries, s.Summary)
	}
	var err error
	m.Summary, err = add(m.Command, summaries)
	return &m, err
}

// add counts a shard in.
func (m *Manifest) add(s *Manifest) {
	m.Counts.Rows += s.Counts.Rows
	m.Counts.Rejected += s.Counts.Rejected
	m.Counts.Passages += s.Counts.Passages
	m.Seconds += s.Seconds
	if s.Started.Before(m.Started) {
		m.Started = s.Started
	}
	if s.Finished.After(m.Finished) {
		m.Finished = s.Finished
	}
	m.Shards = append(m.Shards, Part{Index: s.Shard.Index, Name: s.Output.Name, Started: s.Started, Finished: s.Finished, Seconds: s.Seconds, SHA256: s.Output.SHA256})
}

// alike refuses shards of which one was made another way than the first.
func alike(shards []*Manifest) error {
	want := shards[0].decides()
	for _, s := range shards {
		if s.Shard.Of == 0 {
			return fmt.Errorf("%s: want a shard, got the output of a run without --shard", s.Output.Name)
		}
		if differ := Differences(want, s.decides()); len(differ) > 0 {
			return fmt.Errorf("%s: want a shard of the same run as %s, got another: %s", s.Output.Name, shards[0].Output.Name, strings.Join(differ, "; "))
		}
	}
	return nil
}

// decides lists all that the shards of one output have in common, each thing once: what
// the input holds is more to the point than its file, which may be packed otherwise.
func (m *Manifest) decides() []Fact {
	all := []Fact{
		{"command", m.Command},
		{"version", m.Version},
		{"shards", fmt.Sprint(m.Shard.Of)},
		{"rows of the input", fmt.Sprint(m.Shard.Total)},
		{"rows of a block", fmt.Sprint(m.Shard.Block)},
	}
	has := func(name string) bool { return slices.ContainsFunc(all, func(f Fact) bool { return f.Name == name }) }
	for _, f := range slices.Concat(m.Identity, Facts(m.Files)) {
		if !has(f.Name) && !(f.Name == Input+" file" && has(Input)) {
			all = append(all, f)
		}
	}
	return all
}

// whole refuses shards, sorted, that are not all rows once.
func whole(shards []*Manifest) error {
	var missing []string
	next := 0
	for _, s := range shards {
		if s.Shard.Index < next {
			return fmt.Errorf("%s: want each shard once, got shard %d of %d twice", s.Output.Name, s.Shard.Index, s.Shard.Of)
		}
		for ; next < s.Shard.Index; next++ {
			missing = append(missing, fmt.Sprint(next))
		}
		next++
	}
	of, row := shards[0].Shard.Of, 0
	for ; next < of; next++ {
		missing = append(missing, fmt.Sprint(next))
	}
	if len(missing) > 0 {
		return fmt.Errorf("want all %d shards, got %d: %s missing", of, len(shards), strings.Join(missing, ", "))
	}
	for _, s := range shards {
		if s.Shard.From != row {
			return fmt.Errorf("%s: want rows from %d on, got rows from %d on", s.Output.Name, row, s.Shard.From)
		}
		row = s.Shard.To
	}
	if total := shards[0].Shard.Total; row != total {
		return fmt.Errorf("%s: want rows up to %d, got rows up to %d", shards[of-1].Output.Name, total, row)
	}
	return nil
}

// allFacts are those of all machines, each with all its values.
func allFacts(shards []*Manifest) []Fact {
	var out []Fact
	for _, s := range shards {
		for _, f := range s.Machine {
			at := slices.IndexFunc(out, func(o Fact) bool { return o.Name == f.Name })
			if at < 0 {
				out = append(out, f)
			} else if !slices.Contains(strings.Split(out[at].Value, "; "), f.Value) {
				out[at].Value += "; " + f.Value
			}
		}
	}
	return out
}
