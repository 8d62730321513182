package api

import _ "embed"

//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the API, in the form of OpenAPI 3.1.
func OpenAPI() []byte { return openAPI }
