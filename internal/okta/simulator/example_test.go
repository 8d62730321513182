package simulator_test

import (
	"fmt"
	"io"
	"net/http"

	"reconciler/internal/okta/simulator"
)

// A simulator needs no network.
func ExampleSimulator_RoundTripper() {
	s, err := simulator.New(simulator.DefaultSeed(2), simulator.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: s.RoundTripper()}
	resp, err := client.PostForm("https://acme-aerial.okta.com/oauth2/v1/token", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status)
	fmt.Println(string(body))
	// Output:
	// 400 Bad Request
	// {"error":"invalid_request","error_description":"The token request must specify a 'grant_type'."}
}

func ExampleParseFault() {
	f, err := simulator.ParseFault("PUT /api/v1/orgs/*/products status=500 after times=2")
	fmt.Println(f.Status, f.After, f.Times, err)
	_, err = simulator.ParseFault("PUT /api/v1/orgs/*/products status=200")
	fmt.Println(err)
	// Output:
	// 500 true 2 <nil>
	// "PUT /api/v1/orgs/*/products status=200": status 200: want a number from 400 to 599
}
