package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The methods of this file change orgs without the API, as people do in the Aerial
// console. Unless noted otherwise they log an event in the System Log, with by (a
// login) as its actor.

// SetOrgProducts sets the products of an org.
func (s *Simulator) SetOrgProducts(domain string, ids []string, by string) error {
	return s.change(domain, by, func(who *caller, o *Org) error {
		for i, id := range ids {
			if !s.seed.subscribed(id) {
				return fmt.Errorf("the account does not subscribe to product %q", id)
			}
			if slices.Contains(ids[:i], id) {
				return fmt.Errorf("product %q is there twice", id)
			}
		}
		s.setProducts(who, nil, o, ids)
		return nil
	})
}

// SetOrgStatus sets the status of an org to ACTIVE or INACTIVE, also of a parent,
// which Okta allowed until October 2025. The Aerial org is always active.
func (s *Simulator) SetOrgStatus(domain, status, by string) error {
	return s.change(domain, by, func(who *caller, o *Org) error {
		if status != active && status != inactive {
			return fmt.Errorf("status %q is neither %s nor %s", status, active, inactive)
		}
		if o.AerialOrg && status == inactive {
			return errors.New("the Aerial org is always active")
		}
		s.setStatus(who, nil, o, status)
		return nil
	})
}

// LinkOrg adds an associated org to the account.
func (s *Simulator) LinkOrg(domain, by string) error {
	return s.change(domain, by, func(who *caller, o *Org) error {
		if !slices.Contains(supportedCells, o.Cell) {
			return fmt.Errorf("its cell %q is not supported by Aerial", o.Cell)
		}
		if !o.Managed {
			o.Managed = true
			s.record(who, nil, "account.org.add", orgEntity(o))
		}
		return nil
	})
}

// RenameOrg changes the domain of an org, as Okta does where a customer asks for it.
// The org keeps its id and all that belongs to it. No event is logged.
func (s *Simulator) RenameOrg(domain, to string) error {
	return s.change(domain, "", func(_ *caller, o *Org) error {
		to = strings.ToLower(to)
		if !domainForm.MatchString(to) || s.byDomain[to] != nil {
			return fmt.Errorf("the domain %q is malformed or taken", to)
		}
		from := o.Domain
		o.Domain = to
		s.byDomain[to] = o
		delete(s.byDomain, from)
		for _, child := range s.orgs {
			if child.Parent == from {
				child.Parent = to
			}
		}
		for _, c := range s.clients {
			if c.Org == from {
				c.Org = to
			}
		}
		if c, ok := s.consents[from]; ok {
			s.consents[to] = c
			delete(s.consents, from)
		}
		s.creates[to] = s.creates[from]
		delete(s.creates, from)
		return nil
	})
}

// CancelDeletion cancels a deletionRequest, if there is one.
func (s *Simulator) CancelDeletion(domain, by string) error {
	return s.change(domain, by, func(who *caller, o *Org) error {
		if o.DeletionRequested {
			o.DeletionRequested = false
			s.record(who, nil, "account.org.delete.cancel", orgEntity(o))
		}
		return nil
	})
}

// SetConsent grants or revokes an org's consent. A child has its parent's, and
// that of a linked org can't be revoked.
func (s *Simulator) SetConsent(domain string, granted bool, by string) error {
	return s.change(domain, by, func(who *caller, o *Org) error {
		switch {
		case o.Parent != "":
			return errors.New("a child inherits the consent of its parent")
		case granted == o.Consent:
		case granted:
			s.setConsent(who, nil, o)
		case o.Managed:
			return errors.New("consent can't be revoked once the org is linked")
		default:
			s.dropConsent(who, nil, o)
		}
		return nil
	})
}

// AddOrg adds an associated org, such as one that a person created. An empty ID is
// filled in. It logs no event.
func (s *Simulator) AddOrg(o Org) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o = o.clone()
	o.ID = cmp.Or(o.ID, s.newID("00o"))
	d := s.dump()
	d.Orgs = append(d.Orgs, o)
	if err := d.Validate(); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	s.addOrg(&o)
	return nil
}

// SetReadForbidden makes the API return 403, or no longer so, for the products of
// an org. It logs no event.
func (s *Simulator) SetReadForbidden(domain string, forbidden bool) error {
	return s.change(domain, "", func(_ *caller, o *Org) error {
		o.ReadForbidden = forbidden
		return nil
	})
}

// SetAccountName renames the account. It logs no event.
func (s *Simulator) SetAccountName(name string) error {
	if n := len([]rune(name)); n < 1 || n > maxAccountName {
		return fmt.Errorf("simulator: want an account name of 1 to %d characters, got %d", maxAccountName, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed.Account.Name = name
	return nil
}

// change calls do with an org and the caller for the System Log.
func (s *Simulator) change(domain, by string, do func(who *caller, o *Org) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byDomain[strings.ToLower(domain)]
	if o == nil {
		return fmt.Errorf("simulator: there is no org %q", domain)
	}
	if err := do(&caller{actor: admin(by)}, o); err != nil {
		return fmt.Errorf("simulator: org %q: %w", domain, err)
	}
	return nil
}
