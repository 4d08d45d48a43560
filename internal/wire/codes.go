package wire

// The msgpack codes of the subset, as constants: the library has them as
// variables, which a switch on the hot path cannot use as a table.
const (
	fixArray = 0x90 // up to 0x9f
	fixStr   = 0xa0 // up to 0xbf
	codeNil  = 0xc0
	codeNo   = 0xc2
	codeYes  = 0xc3
	bin8     = 0xc4
	bin16    = 0xc5
	bin32    = 0xc6
	float64_ = 0xcb
	uint8_   = 0xcc
	uint16_  = 0xcd
	uint32_  = 0xce
	uint64_  = 0xcf
	int8_    = 0xd0
	int16_   = 0xd1
	int32_   = 0xd2
	int64_   = 0xd3
	str8     = 0xd9
	str16    = 0xda
	str32    = 0xdb
	array16  = 0xdc
	array32  = 0xdd
)

func isFixInt(c byte) bool { return c <= 0x7f || c >= 0xe0 }
func isArray(c byte) bool  { return c&0xf0 == fixArray || c == array16 || c == array32 }
func isUint(c byte) bool   { return c <= 0x7f || c >= uint8_ && c <= uint64_ }
func isInt(c byte) bool    { return isFixInt(c) || c >= uint8_ && c <= int64_ }
func isBool(c byte) bool   { return c == codeNo || c == codeYes }
func isFloat(c byte) bool  { return c == float64_ }
func isBytes(c byte) bool  { return c >= bin8 && c <= bin32 }
func isString(c byte) bool { return c&0xe0 == fixStr || c >= str8 && c <= str32 }
func isText(c byte) bool   { return isString(c) || isBytes(c) }
