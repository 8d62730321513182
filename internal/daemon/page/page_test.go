package page

import (
	"net/url"

	"reconciler/internal/reconcile"
)

func testQuery(_, raw string) (*reconcile.InventoryQuery, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	return &reconcile.InventoryQuery{Limit: 100, After: values.Get("after")}, nil
}

func testFailure(err error) (int, string, string) { return 400, err.Error(), "" }
