package membership

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
)

// logger has what memberlist logs go to l; if that is nil, nowhere.
func logger(l *slog.Logger) *log.Logger {
	if l == nil {
		return log.New(io.Discard, "", 0)
	}
	return log.New(lines{l}, "", 0)
}

// lines are log lines of memberlist, which begin with their level in brackets.
type lines struct{ log *slog.Logger }

var levels = []struct {
	prefix string
	level  slog.Level
}{
	{"[DEBUG] ", slog.LevelDebug}, {"[INFO] ", slog.LevelInfo}, {"[WARN] ", slog.LevelWarn},
	{"[ERR] ", slog.LevelError}, {"[ERROR] ", slog.LevelError},
}

func (w lines) Write(b []byte) (int, error) {
	text, level := bytes.TrimSpace(b), slog.LevelInfo
	for _, l := range levels {
		if rest, ok := bytes.CutPrefix(text, []byte(l.prefix)); ok {
			text, level = rest, l.level
			break
		}
	}
	text = bytes.TrimPrefix(text, []byte("memberlist: "))
	w.log.Log(context.Background(), level, string(text))
	return len(b), nil
}
