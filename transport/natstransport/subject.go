package natstransport

import (
	"encoding/hex"
	"strings"

	"github.com/eventual-go/eventual/transport"
)

const hexDigits = "0123456789ABCDEF"

// token makes a name of any bytes one token of a subject.
func token(name string) string {
	if name == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// name is the inverse of token. Only what token writes is taken.
func name(token string) (string, bool) {
	if token == "=" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		switch c := token[i]; {
		case plain(c):
			b.WriteByte(c)
		case c != '=' || i+2 >= len(token):
			return "", false
		default:
			n, err := hex.DecodeString(token[i+1 : i+3])
			if err != nil || plain(n[0]) || token[i+1:i+3] != strings.ToUpper(token[i+1:i+3]) {
				return "", false
			}
			b.WriteByte(n[0])
			i += 2
		}
	}
	return b.String(), b.Len() > 0
}

// sender returns the node that published to a subject, by its last token.
func sender(subject string) (transport.NodeID, bool) {
	from, ok := name(subject[strings.LastIndexByte(subject, '.')+1:])
	return transport.NodeID(from), ok && from != "" && len(from) <= transport.MaxName
}
