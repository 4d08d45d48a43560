package crdt

func (r *MaxRegister[T]) Parts() []*MaxRegister[T] { return []*MaxRegister[T]{r.Clone()} }
func (r *MinRegister[T]) Parts() []*MinRegister[T] { return []*MinRegister[T]{r.Clone()} }
