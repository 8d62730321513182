package history

func (s *Store) pruneDaily() (head string, err error) { return "", nil }
