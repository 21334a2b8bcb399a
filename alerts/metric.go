package alerts

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Unit is what a metric is measured in.
type Unit string

// The units. A metric without one is a plain number, such as the load.
const (
	Percent        Unit = "percent"
	Bytes          Unit = "bytes"
	Count          Unit = "count"
	BytesPerSecond Unit = "bytes/s"
	PerSecond      Unit = "/s"
)

// Metric is a metric as people call it.
type Metric struct {
	Name    string `json:"name"` // measurement_field
	Chinese string `json:"zh"`
	English string `json:"en"`
	Unit    Unit   `json:"unit,omitempty"`
	// Counter says that agents sample a total that only grows; rules judge, and
	// Unit tells, its increase per second.
	Counter bool `json:"counter,omitempty"`
}

// ServerUp is 1 while a server is up and 0 while it is down, unless it was shut
// down on purpose. No agent can tell that of itself: the controller does.
const ServerUp = "server_up"

// AccountsHeld is how many accounts of a server have their mail held because they send
// far more than they are used to, until somebody releases it. AccountBurst is of each of
// them how many recipients it has written to in its burst, tagged with its address by
// AccountTag; of one that was let go it is 0.
const (
	AccountsHeld = "mailnode_accounts_held"
	AccountBurst = "mailnode_account_burst"
	AccountTag   = "account"
)

var catalogue = slices.Concat([]Metric{
	gauge(ServerUp, "服务器在线", "server up", ""),
	gauge("load_load1", "1 分钟负载", "load (1 min)", ""),
	gauge("load_load5", "5 分钟负载", "load (5 min)", ""),
	gauge("load_load15", "15 分钟负载", "load (15 min)", ""),
	gauge("load_processes", "进程数", "processes", Count),
	gauge("cpu_user", "CPU 用户", "CPU user", Percent),
	gauge("cpu_system", "CPU 系统", "CPU system", Percent),
	gauge("cpu_nice", "CPU nice", "CPU nice", Percent),
	gauge("cpu_idle", "CPU 空闲", "CPU idle", Percent),
	gauge("cpu_iowait", "CPU 等待 I/O", "CPU I/O wait", Percent),
	gauge("cpu_steal", "CPU 被占用", "CPU stolen", Percent),
	gauge("mem_total", "内存总量", "memory total", Bytes),
	gauge("mem_used", "内存已用", "memory used", Bytes),
	gauge("mem_free", "内存空闲", "memory free", Bytes),
	gauge("mem_used_percent", "内存使用率", "memory use", Percent),
	gauge("mem_available", "内存可用", "memory available", Bytes),
	gauge("mem_cached", "内存缓存", "memory cached", Bytes),
	gauge("mem_buffers", "内存缓冲", "memory buffers", Bytes),
	gauge("mem_shared", "内存共享", "memory shared", Bytes),
	gauge("swap_total", "交换区总量", "swap total", Bytes),
	gauge("swap_used", "交换区已用", "swap used", Bytes),
	gauge("swap_free", "交换区空闲", "swap free", Bytes),
	gauge("swap_used_percent", "交换区使用率", "swap use", Percent),
	gauge("swap_cached", "交换区缓存", "swap cached", Bytes),
	gauge("swap_shared", "交换区共享", "swap shared", Bytes),
	gauge("disk_total", "磁盘总量", "disk total", Bytes),
	gauge("disk_used", "磁盘已用", "disk used", Bytes),
	gauge("disk_free", "磁盘可用", "disk free", Bytes),
	gauge("disk_used_percent", "磁盘使用率", "disk use", Percent),
	gauge("disk_inodes_total", "inode 总数", "inodes total", Count),
	gauge("disk_inodes_used", "inode 已用", "inodes used", Count),
	gauge("disk_inodes_free", "inode 可用", "inodes free", Count),
	gauge("disk_inodes_used_percent", "inode 使用率", "inode use", Percent),
	counter("net_bytes_recv", "网络流入", "network in", BytesPerSecond),
	counter("net_bytes_sent", "网络流出", "network out", BytesPerSecond),
	counter("net_packets_recv", "收包", "packets in", PerSecond),
	counter("net_packets_sent", "发包", "packets out", PerSecond),
	counter("net_errin", "收包错误", "network errors in", PerSecond),
	counter("net_errout", "发包错误", "network errors out", PerSecond),
	counter("mailnode_smtp_accepted", "SMTP 接收", "SMTP messages accepted", PerSecond),
	counter("mailnode_smtp_rejected", "SMTP 拒绝", "SMTP rejections", PerSecond),
	counter("mailnode_smtp_refused", "SMTP 连接超限", "SMTP connections over limit", PerSecond),
	counter("mailnode_messages_delivered", "邮件投递", "messages delivered", PerSecond),
	counter("mailnode_bytes_delivered", "邮件投递量", "mail delivered", BytesPerSecond),
	gauge(AccountsHeld, "被暂停发信的账户", "accounts held for sending too much", Count),
	gauge(AccountBurst, "发信突增收件人", "recipients of a burst that is held", Count),
	counter("mailnode_smtp_logins", "SMTP 登录", "SMTP sign-ins", PerSecond),
	counter("mailnode_smtp_login_failures", "SMTP 登录失败", "SMTP sign-in failures", PerSecond),
	counter("mailnode_mail_queued", "入队收件人", "recipients queued", PerSecond),
	counter("mailnode_mail_sent", "外发收件人", "recipients sent on", PerSecond),
	counter("mailnode_mail_deferred", "外发推迟", "recipients deferred", PerSecond),
	counter("mailnode_mail_failed", "外发失败", "recipients given up", PerSecond),
	counter("mailnode_pop3_logins", "POP3 登录", "POP3 sign-ins", PerSecond),
	counter("mailnode_pop3_login_failures", "POP3 登录失败", "POP3 sign-in failures", PerSecond),
	counter("mailnode_pop3_retrieved", "POP3 取信", "POP3 messages retrieved", PerSecond),
	counter("mailnode_pop3_deleted", "POP3 删信", "POP3 messages deleted", PerSecond),
	counter("mailnode_pop3_refused", "POP3 连接超限", "POP3 connections over limit", PerSecond),
	counter("mailnode_imap_logins", "IMAP 登录", "IMAP sign-ins", PerSecond),
	counter("mailnode_imap_login_failures", "IMAP 登录失败", "IMAP sign-in failures", PerSecond),
}, loginFailures())

// loginFailures are failed sign-ins by cause, as mailnode_smtp_login_failures_refused.
func loginFailures() (list []Metric) {
	causes := []struct{ name, chinese, english string }{
		{"refused", "密码错误", "wrong password"}, {"unknown", "账户不存在", "unknown account"}, {"throttled", "尝试过多", "too many attempts"},
		{"suspended", "账户已停用", "account suspended"}, {"off", "协议未开通", "protocol switched off"}, {"malformed", "应答有误", "malformed answer"},
	}
	for _, protocol := range []string{"SMTP", "POP3", "IMAP"} {
		for _, c := range causes {
			name := "mailnode_" + strings.ToLower(protocol) + "_login_failures_" + c.name
			list = append(list, counter(name, protocol+" 登录失败："+c.chinese, protocol+" sign-in failures: "+c.english, PerSecond))
		}
	}
	return list
}

func gauge(name, chinese, english string, unit Unit) Metric {
	return Metric{Name: name, Chinese: chinese, English: english, Unit: unit}
}

func counter(name, chinese, english string, unit Unit) Metric {
	return Metric{Name: name, Chinese: chinese, English: english, Unit: unit, Counter: true}
}

// Metrics returns every metric agents sample, in the order people read them.
func Metrics() []Metric { return slices.Clone(catalogue) }

// Describe returns the names and unit of a metric. One it does not know keeps
// its name, and its unit is what the name says.
func Describe(name string) Metric {
	for _, m := range catalogue {
		if m.Name == name {
			return m
		}
	}
	m := Metric{Name: name, Chinese: name, English: strings.ReplaceAll(name, "_", " ")}
	switch {
	case strings.HasSuffix(name, "_percent"):
		m.Unit = Percent
	case strings.Contains(name, "_bytes"):
		m.Unit = Bytes
	}
	return m
}

// Format writes a value with its unit and at most digits decimals: 97.3%,
// 1.5 GiB, 20 MiB/s, 12000, 0.25.
func (u Unit) Format(value float64, digits int) string {
	switch u {
	case Percent:
		return decimal(value, digits) + "%"
	case Bytes:
		return binary(value, digits)
	case BytesPerSecond:
		return binary(value, digits) + "/s"
	case PerSecond:
		return decimal(value, digits) + "/s"
	}
	return decimal(value, digits)
}

// binary writes a number of bytes with a binary prefix.
func binary(value float64, digits int) string {
	prefixes := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	n := 0
	for ; math.Abs(value) >= 1024 && n < len(prefixes)-1; n++ {
		value /= 1024
	}
	return decimal(value, digits) + " " + prefixes[n]
}

// decimal rounds to digits decimals and drops trailing zeros.
func decimal(value float64, digits int) string {
	s := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	if len(s) > 12 { // nobody reads forty digits
		return strconv.FormatFloat(value, 'g', 4, 64)
	}
	return s
}
