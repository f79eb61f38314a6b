import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.URLDecoder;
import java.util.ArrayList;
import java.util.List;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Adds one user-created event over a bare socket. It needs Java 11 and no packages:
 *
 *     IMSYNC_SDK_APP_ID=1400000000 java examples/Producer.java alice Alice https://example.com/a.png
 *
 * Prints the event's ID once Redis has it. Reads IMSYNC_SDK_APP_ID and IMSYNC_REDIS_URL (redis://, with a password and a
 * database if need be). Exit codes: 0 done, 1 Redis refused or is away, 2 wrong usage.
 */
class Producer {
  private static final int TIMEOUT_MS = 5_000;

  public static void main(String[] args) {
    String appId = System.getenv().getOrDefault("IMSYNC_SDK_APP_ID", "");
    if (args.length < 1 || args.length > 3 || !appId.matches("[0-9]+")) {
      System.err.println("usage: IMSYNC_SDK_APP_ID=1400000000 java Producer.java USER-ID [NICK [FACE-URL]]");
      System.exit(2);
    }
    if (args[0].isEmpty() || args[0].getBytes(UTF_8).length > 32) {
      System.err.println("not added: the user ID must have 1 to 32 bytes; strip the dashes of a UUID");
      System.exit(2);
    }
    String url = System.getenv().getOrDefault("IMSYNC_REDIS_URL", "redis://127.0.0.1:6379");
    try {
      System.out.println(add(appId, URI.create(url), args));
    } catch (IOException | IllegalArgumentException error) {
      System.err.println("not added: " + error.getMessage());
      System.exit(1);
    }
  }

  /** Adds the event, and returns its ID. */
  static String add(String appId, URI url, String... user) throws IOException {
    List<String> xadd = new ArrayList<>(List.of("XADD", "{imsync:" + appId + "}:user-created", "*"));
    String[] names = {"userId", "nick", "faceUrl"};
    for (int i = 0; i < user.length; i++) if (!user[i].isEmpty()) xadd.addAll(List.of(names[i], user[i]));
    try (Socket socket = new Socket(url.getHost(), url.getPort() < 0 ? 6379 : url.getPort())) {
      socket.setSoTimeout(TIMEOUT_MS);
      InputStream in = new BufferedInputStream(socket.getInputStream());
      if (url.getRawUserInfo() != null) call(socket, in, login(url.getRawUserInfo()));
      String database = url.getPath() == null ? "" : url.getPath().replace("/", "");
      if (!database.isEmpty()) call(socket, in, List.of("SELECT", database));
      return call(socket, in, xadd);
    }
  }

  private static List<String> login(String userInfo) {
    List<String> words = new ArrayList<>(List.of("AUTH"));
    for (String part : userInfo.split(":", 2)) if (!part.isEmpty()) words.add(URLDecoder.decode(part, UTF_8));
    return words;
  }

  /** One command as Redis reads it (RESP), and the text of its simple or bulk reply. */
  private static String call(Socket socket, InputStream in, List<String> words) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(("*" + words.size() + "\r\n").getBytes(UTF_8));
    for (String word : words) {
      byte[] bytes = word.getBytes(UTF_8);
      out.write(("$" + bytes.length + "\r\n").getBytes(UTF_8));
      out.write(bytes);
      out.write("\r\n".getBytes(UTF_8));
    }
    socket.getOutputStream().write(out.toByteArray());
    String line = readLine(in);
    switch (line.charAt(0)) {
      case '-': throw new IOException(line.substring(1));
      case '$': return readLine(in);
      default: return line.substring(1);
    }
  }

  private static String readLine(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int next = in.read(); next != '\n'; next = in.read()) {
      if (next < 0) throw new IOException("Redis closed the connection");
      if (next != '\r') line.write(next);
    }
    return line.toString(UTF_8);
  }
}
