package openai

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// address is where requests go.
type address struct {
	url     string
	host    string // with its port
	shown   string // the same for messages, without what may be a key
	secrets []Key  // what may be a key in it
	azure   bool   // the key is wanted in a header of Azure's own as well
}

// Host returns the host that requests go to, with its port.
func (c *Client) Host() string { return c.address.host }

// Address returns where requests go, without what may be a key.
func (c *Client) Address() string { return c.address.shown }

// azureVersion is the one parameter of a query that is known to be no secret.
// Azure asks for it.
const azureVersion = "api-version"

// endpoint returns the address for a base URL. A query, such as Azure's
// api-version, stays behind the path. Errors hold neither key nor password.
func endpoint(base, model string, key Key) (address, error) {
	path, query, _ := strings.Cut(base, "?")
	shown := hide([]Key{key}, withoutKeys(path))
	u, err := url.Parse(path)
	switch {
	case err != nil && strings.Contains(path, "@"), err == nil && u.User != nil:
		return address{}, errors.New("base URL: must not contain a user or a password: a key goes into --api-key-file or OPENAI_API_KEY")
	case strings.Contains(base, "#"):
		return address{}, errors.New("base URL: must not contain #")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return address{}, fmt.Errorf("base URL: want http://HOST or https://HOST and a path, got %q", shown)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return address{}, errors.New("base URL: want name=value after ?, joined by &, got something else")
	}
	out := address{host: u.Host, secrets: secretParts(u.Path, model), azure: values.Has(azureVersion)}
	u = u.JoinPath("chat/completions")
	if strings.HasSuffix(u.Path, "/chat/completions/chat/completions") {
		return address{}, fmt.Errorf("base URL: want what stands before /chat/completions, got %q", shown)
	}
	out.shown = u.String()
	if query != "" {
		out.shown += "?" + out.showQuery(values)
	}
	out.shown = hide(append(out.secrets, key), out.shown)
	u.RawQuery = query
	out.url = u.String()
	return out, nil
}

// ShowURL writes a base URL without what may be a key: a user, a password, the values of
// its query but Azure's api-version, and parts of its path that look like one. What is no
// address is blanked as a whole.
func ShowURL(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return blank
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return blank
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += blank + "@"
	}
	shown += u.Host + withoutKeys(u.EscapedPath())
	if u.RawQuery != "" {
		shown += "?" + new(address).showQuery(values)
	}
	return shown
}

// showQuery writes a query for messages, and takes its values for secrets.
func (a *address) showQuery(values url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			if name == azureVersion {
				parts = append(parts, name+"="+value)
				continue
			}
			parts = append(parts, name+"="+blank)
			if len(value) >= valueLength {
				a.secrets = append(a.secrets, Key{&value})
			}
		}
	}
	return strings.Join(parts, "&")
}

// secretParts lists the parts of a path that may be keys, as some gateways have
// them there. The names of a model or of Azure's deployments are none.
func secretParts(path, model string) []Key {
	var out []Key
	before := ""
	for part := range strings.SplitSeq(path, "/") {
		if mayBeKey(part) && before != "deployments" && part != model {
			out = append(out, Key{&part})
		}
		before = part
	}
	return out
}

// withoutKeys blanks the parts of an address that may be keys.
func withoutKeys(address string) string {
	parts := strings.Split(address, "/")
	for i, part := range parts {
		if mayBeKey(part) {
			parts[i] = blank
		}
	}
	return strings.Join(parts, "/")
}

// The least that a value of a query has, and a part of a path, to be taken for a key.
const (
	valueLength = 4
	keyLength   = 16
)

func mayBeKey(part string) bool {
	return len(part) >= keyLength && strings.ContainsFunc(part, unicode.IsDigit) && strings.ContainsFunc(part, unicode.IsLetter)
}
