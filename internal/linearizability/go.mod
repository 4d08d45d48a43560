module github.com/eventual-go/eventual/internal/linearizability

go 1.26

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/eventual-go/eventual v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/dchest/siphash v1.2.3 // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/eventual-go/eventual => ../../
