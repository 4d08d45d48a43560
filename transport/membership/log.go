package membership

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
)

// logger has what memberlist logs go to l; if that is nil, nowhere.
func logger(l *slog.Logger, plain bool) *log.Logger {
	if l == nil {
		return log.New(io.Discard, "", 0)
	}
	return log.New(lines{l, plain}, "", 0)
}

// lines are log lines of memberlist, which begin with their level in brackets.
type lines struct {
	log   *slog.Logger
	plain bool
}

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
	if !w.plain && bytes.Contains(text, []byte("without encryption")) {
		return len(b), nil // it does not know of it
	}
	w.log.Log(context.Background(), level, string(text))
	return len(b), nil
}
