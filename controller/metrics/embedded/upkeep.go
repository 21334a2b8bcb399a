package embedded

import "time"

// keepUpEvery is how often the engine's chores are looked after.
const keepUpEvery = time.Minute

// keepUp does the engine's chores until the store closes.
func (s *Store) keepUp() {
	tick := time.NewTicker(keepUpEvery)
	defer tick.Stop()
	failing := false // so that a full disk is logged once, not every minute
	for {
		select {
		case <-s.life.Done():
			return
		case now := <-tick.C:
			err := s.chores(now)
			switch {
			case s.life.Err() != nil:
				return
			case err != nil && !failing:
				s.log.Error("sample store cannot be kept tidy", "err", err)
			case err == nil && failing:
				s.log.Info("sample store is tidy again")
			}
			failing = err != nil
		}
	}
}

// chores flushes full chunks to their files, compacts what is due into blocks,
// and drops blocks past retention.
func (s *Store) chores(now time.Time) error {
	s.chore.Lock()
	defer s.chore.Unlock()
	s.engine.RLock()
	defer s.engine.RUnlock()
	if s.db == nil {
		return nil
	}
	if err := s.checkRoom(0); err != nil {
		return err
	}
	s.db.ForceHeadMMap()
	// Compact sees to out-of-order samples only when others are due as well,
	// which may be never while a clock that was ahead comes back.
	if block := now.Truncate(blockLength); block.After(s.tidied) {
		if err := s.db.CompactOOOHead(s.life); err != nil {
			return err
		}
		s.tidied = block
	}
	return s.db.Compact(s.life)
}
