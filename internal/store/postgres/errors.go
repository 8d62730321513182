package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"reconciler/internal/text"
)

// maxLine is how much of foreign text is in an error.
const maxLine = 300

// Explain returns an error of our own, with a hint, instead of PostgreSQL's, which may
// repeat what is in queries. It returns other errors as they are, but is for those of
// databases alone: what the system says of files looks like an error of a connection.
func Explain(err error) error {
	var connect *pgconn.ConnectError
	var server *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*urlError)): // which may be one of a file, and so looks like one of a connection
		return err
	case errors.As(err, &connect):
		return unreachable(connect)
	case errors.As(err, &server):
		return refused(server)
	case isBroken(err):
		return lost(err)
	}
	return err
}

// isBroken reports whether an error is one of a connection that ended.
func isBroken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed) || strings.HasSuffix(err.Error(), "conn closed")
}

// lost is the error of a connection that ended.
func lost(err error) error {
	why := "it ended"
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		why = "the server doesn't answer"
	}
	return text.WithHint(errors.New(lostWords+why), "look at the database server, and at the network between")
}

// lostWords and unreachableWords begin the errors of lost and unreachable.
const lostWords = "the connection to PostgreSQL was lost: "

var unreachableWords = []string{"PostgreSQL at ", "PostgreSQL can't be reached: "}

// OutageIn returns the end of a text that says why the database can't be used, as errors
// do that wrap one of Explain; empty if it doesn't.
func OutageIn(said string) string {
	begin := strings.LastIndex(said, lostWords)
	for _, words := range unreachableWords {
		begin = max(begin, strings.LastIndex(said, words))
	}
	if begin < 0 {
		return ""
	}
	return said[begin:]
}

// unreachable is the error of a connection that wasn't made.
func unreachable(err *pgconn.ConnectError) error {
	where := fmt.Sprintf("%s:%d", err.Config.Host, err.Config.Port)
	if strings.HasPrefix(err.Config.Host, "/") {
		where = err.Config.Host
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		why := refused(server)
		return text.WithHint(fmt.Errorf("PostgreSQL at %s lets nobody in: %w", where, why), text.Hint(why))
	}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return text.WithHint(fmt.Errorf("PostgreSQL can't be reached: the name %q can't be resolved", dns.Name), "check the host in the URL of the database")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return text.WithHint(fmt.Errorf("PostgreSQL at %s doesn't answer", where), "check host and port in the URL of the database, and the network between")
	case isTLS(err):
		return text.WithHint(fmt.Errorf("PostgreSQL at %s can't be connected to: %s", where, text.OneLine(innermost(err).Error(), maxLine)), "check sslmode and sslrootcert in the URL of the database")
	case errors.As(err, &op):
		return text.WithHint(fmt.Errorf("PostgreSQL at %s can't be reached: %s", where, text.OneLine(op.Err.Error(), maxLine)), "check host and port in the URL of the database, and whether the server runs")
	case isBroken(err):
		return text.WithHint(fmt.Errorf("PostgreSQL at %s can't be connected to: the connection was closed before the server answered", where),
			"look at the log of the database server, and whether host and port in the URL of the database lead to it")
	}
	return fmt.Errorf("PostgreSQL at %s can't be connected to: %s", where, text.OneLine(innermost(err).Error(), maxLine))
}

// isTLS reports whether a connection wasn't made because of TLS. Neither pgconn nor
// crypto/tls has a type for all of these.
func isTLS(err error) bool {
	said := err.Error()
	return strings.Contains(said, "tls: ") || strings.Contains(said, "x509: ") || strings.Contains(said, "server refused TLS connection")
}

// innermost returns what an error was made of first, of several the first one.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			next = e.Unwrap()[0]
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// reasons has our words for the codes of the server, or for classes of them, with what to
// do. The longest prefix of a code counts.
var reasons = map[string]struct{ words, hint string }{
	"28":    {"user or password is wrong", "check user and password in the URL of the database, and the server's pg_hba.conf"},
	"3D":    {"there is no such database", "check the name in the URL of the database, or create it"},
	"3F":    {"there is no such schema", "create the schema that search_path in the URL of the database names"},
	"25006": {"it can only be read", "the URL of the database leads to a standby: name the primary, or several hosts with target_session_attrs=read-write"},
	"42501": {"the user isn't allowed to do that", "the user needs the right to create tables in the schema, and to read and write them"},
	"42P01": {"a table is missing", "put the tables back from a backup of the database"},
	"42P07": {"a table with a name that is needed is there and belongs to some other program", "use a database or a schema of its own"},
	"53100": {"the disk is full", "make room on the database server"},
	"53300": {"it has no connection left", "raise max_connections of the server, or end what else is connected"},
	"53":    {"it lacks resources", "look at the database server"},
	"55P03": {"another process keeps it busy", "look at pg_stat_activity for a transaction that doesn't end"},
	"57014": {"a statement took too long", "look at the load of the database server"},
	"57P":   {"the server is being stopped or started", "wait until it is up again"},
	"25P03": {"this process stood still within a transaction, which was taken back", "nothing was written: run it again"},
	"58":    {"the server has a problem with its files", "look at the log of the database server"},
	"XX":    {"the data is damaged, or the server has a fault", "look at the log of the database server"},
}

// refused is the error of what the server said.
func refused(err *pgconn.PgError) error {
	for n := len(err.Code); n >= 2; n-- {
		if r, ok := reasons[err.Code[:n]]; ok {
			return text.WithHint(fmt.Errorf("%s (SQLSTATE %s)", r.words, err.Code), r.hint)
		}
	}
	return fmt.Errorf("PostgreSQL says: %s (SQLSTATE %s)", text.OneLine(err.Message, maxLine), err.Code)
}
