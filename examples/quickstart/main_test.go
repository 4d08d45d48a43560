package main

func Example() {
	main()
	// Output:
	// [bread jam milk]
	// [bread jam milk]
}
